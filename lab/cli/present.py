"""How a run shows itself while it goes on, and its report at the end: the same for simulation and rehearsal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lab.cli.errors import FOUND_SOMETHING
from lab.cli.options import TableFormat

if TYPE_CHECKING:
    from lab.outcome import Outcome
    from sim.trace import NoteRecord


def ready(out: Path | None, form: TableFormat, capture: Path | None = None) -> None:
    """See that results can be written, before a run takes its time.

    Raises
    ------
    InputError
        If they cannot.
    """
    from lab.errors import InputError
    from lab.outputs import ready_directory, ready_file
    from lab.report import NO_PARQUET, RESULTS

    if form is TableFormat.PARQUET and find_spec("pyarrow") is None:
        raise InputError(NO_PARQUET)
    ready_directory(out or RESULTS)
    if capture is not None:
        ready_file(capture)


@contextmanager
def progress_bar(what: str, total_s: float, *, shown: bool) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, where that is a terminal; yields what is to be told the run's time in seconds."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[now]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(what, total=total_s, now="")

        def tell(now_s: float) -> None:
            stage = f"{now_s:.0f} of {total_s:.0f} s" if now_s < total_s else f"{now_s:.0f} s: the last calls end"
            bar.update(task, completed=min(now_s, total_s), now=stage)

        yield tell


def log_to_stderr(record: NoteRecord) -> None:
    """A fact as a line of text."""
    from engine.live.logs import text_line

    print(text_line(record.note, f"{record.time_s:11.6f} {record.place}"), file=sys.stderr)


def present(
    outcome: Outcome,
    out: Path | None,
    form: TableFormat,
    *,
    as_json: bool,
    pictures: bool,
    capture: Path | None = None,
) -> None:
    """Write and print the report; the messages go to ``capture`` where one is asked for.

    Raises
    ------
    typer.Exit
        With code 1 if a checker found a violation.
    InputError
        If the results cannot be written.
    """
    from lab.report import default_directory, report_on, write_report

    report = report_on(outcome)
    directory = out or default_directory(outcome)
    written = write_report(report, directory, form.value, pictures=pictures)
    if capture is not None:
        from lab.twin import write_capture

        written.append(write_capture(outcome.messages, capture))
    if as_json:
        typer.echo(json.dumps({**report.to_json(), "files": [str(path) for path in written]}, indent=2))
    else:
        from lab.cli.tables import print_report

        console = Console()
        print_report(console, report)
        names = ", ".join(path.name for path in written)
        console.print(f"results:  {directory}: {names}", highlight=False)
    if not report.sound:
        raise typer.Exit(FOUND_SOMETHING)
