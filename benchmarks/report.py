"""Figures side by side: a table for people, JSON for scripts."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from benchmarks.processes import interpreter
from benchmarks.proxies import PROXIES, describe_siptwin

PEER, OURS = PROXIES
UNSEEN_WIDTH = 130  # columns of a table that goes to a file

console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of each proxy; None where it was not measured. ``better`` says which way is good."""

    what: str
    unit: str
    figures: Mapping[str, float | None]
    better: Literal["less", "more"] = "less"
    digits: int = 3
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's."""
        ours, peer = self.figures.get(OURS), self.figures.get(PEER)
        return ours / peer if ours is not None and peer else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            **self.figures,
            "ratio": self.ratio,
            "better": self.better,
            "remark": self.remark,
        }


def show(title: str, rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Print the rows as the options of ``parser`` ask."""
    proxies = chosen(options)
    engine = describe_siptwin(options.python) if OURS in proxies else ""
    if options.json:
        told = {
            "title": title,
            "kernel": platform.release(),
            "siptwin": {"engine": engine, "policy": options.policy} if engine else None,
            "rows": [row.as_dict() for row in rows],
        }
        print(json.dumps(told, indent=2))
        return
    caption = f"siptwin: {engine}, policy {options.policy}" if engine else None
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("")
    table.add_column("unit")
    for name in proxies:
        table.add_column(name, justify="right")
    table.add_column(f"{OURS} / {PEER}", justify="right")
    table.add_column("remark")
    for row in rows:
        cells = [_number(row.figures.get(name), row.digits) for name in proxies]
        table.add_row(row.what, row.unit, *cells, _coloured(row), row.remark)
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


def say(text: str) -> None:
    """Progress, to stderr, so that ``--json`` stays clean."""
    console.print(f"[dim]{text}[/dim]", highlight=False)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark of proxies has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--only", choices=list(PROXIES), help="measure this proxy alone")
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.add_argument(
        "--python", type=interpreter, default=sys.executable, help="the interpreter where siptwin is installed"
    )
    made.add_argument("--policy", default="round_robin", help="siptwin's routing policy")
    return made


def chosen(options: argparse.Namespace) -> list[str]:
    return [options.only] if options.only else list(PROXIES)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _coloured(row: Row) -> str:
    if row.ratio is None:
        return "-"
    good = row.ratio <= 1 if row.better == "less" else row.ratio >= 1
    return f"[{'green' if good else 'yellow'}]{row.ratio:.2f} x[/]"
