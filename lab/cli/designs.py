"""``siptwin designs``: four ways to put FreeSWITCH behind NATs compared, as a table and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.options import Json, NoPictures

if TYPE_CHECKING:
    from rich.console import Console


def designs(
    seed: Annotated[int, typer.Option("--seed", help="Of all runs.")] = 0,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the picture goes; the suffix is the format.")
    ] = Path("results/designs.png"),
    no_pictures: NoPictures = False,
    as_json: Json = False,
) -> None:
    """Compare four ways to put FreeSWITCH behind NATs: whom can it call, and what does a node's death cost?

    Direct contact, client-side failover, browser media for all, and the edge as Contact run on identical agents
    behind each kind of NAT, calls and faults. About a minute.

    Examples:

        siptwin designs
        siptwin designs --json --no-pictures | jq '.[] | select(.design == "edge_as_contact")'
    """
    from rich.console import Console
    from rich.progress import Progress

    from lab.designs import DESIGNS, compare_designs
    from lab.outputs import ready_picture

    if not no_pictures:
        ready_picture(out)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=len(DESIGNS))
        compared = compare_designs(seed=seed, on_design=lambda: progress.advance(task))
    records: list[dict[str, Any]] = json.loads(compared.to_json(orient="records"))
    if as_json:
        typer.echo(json.dumps(records, indent=2))
    else:
        _print(records, Console())
    if not no_pictures:
        from lab.plots import draw_designs, save

        save(draw_designs(compared), out)
        typer.echo(f"picture:  {out}", err=as_json)


def _print(records: list[dict[str, Any]], console: Console) -> None:
    from lab.cli.tables import table
    from lab.designs import DESIGNS, in_words

    agents = list(dict.fromkeys(record["client"] for record in records))
    shares = {(record["design"], record["client"]): record["reached_before"] for record in records}
    rows = [(client.replace("_", " "), *(f"{shares[name, client]:.0%}" for name in DESIGNS)) for client in agents]
    console.print(table("Calls that reach the agent", "", *map(in_words, DESIGNS), rows=rows, words=1))
    costs = []
    for name, design in DESIGNS.items():
        ours = [record for record in records if record["design"] == name]
        reached = sum(record["agents"] for record in ours if record["cut_off"] is not None)
        cut_off = sum(record["agents"] * (record["cut_off"] or 0.0) for record in ours)
        longest_s = max(record["unreachable_s"] for record in ours)
        lost = sum(record["calls_lost"] for record in ours)
        anew = f"{cut_off:.0f} of {reached}"
        costs.append((in_words(name), design.contact, f"{lost:,}", anew, f"{longest_s:.0f} s" if cut_off else "-"))
    columns = ("design", "Contact that FreeSWITCH stores", "calls lost", "to log in anew", "unreachable")
    console.print("", table("All calls, and what the node's death costs", *columns, rows=costs, words=2))
