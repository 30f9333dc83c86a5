"""All commands of ``siptwin``."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.calls import calls
from lab.cli.certificate import certificate
from lab.cli.check import check
from lab.cli.db import db
from lab.cli.designs import designs
from lab.cli.doctor import doctor
from lab.cli.errors import OneLineErrors
from lab.cli.forecast import forecast
from lab.cli.nodes import nodes
from lab.cli.notebooks import lab
from lab.cli.plan import plan
from lab.cli.registrations import registrations
from lab.cli.rehearse import rehearse
from lab.cli.replay import replay
from lab.cli.serve import serve
from lab.cli.simulate import simulate
from lab.cli.status import status
from lab.cli.sweep import sweep

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from engine import __version__

        typer.echo(f"siptwin {__version__}")
        raise typer.Exit


@app.callback()
def siptwin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show Python's traceback of a fault of siptwin itself.")
    ] = False,
) -> None:
    """A SIP edge for FreeSWITCH, and its twin in simulation: one topology file is simulated, rehearsed and served.

    Exit codes: 0 all is well, 1 the run found something wrong, 2 the input is wrong (one line says what to do).
    """


app.command()(simulate)
app.command()(rehearse)
app.command()(serve)
app.command()(status)
app.command()(check)
app.command()(doctor)
app.command()(certificate)
app.command()(plan)
app.command()(designs)
app.command()(sweep)
app.command()(replay)
app.command()(forecast)
app.command()(lab)
app.add_typer(nodes, name="nodes")
app.add_typer(calls, name="calls")
app.add_typer(registrations, name="registrations")
app.add_typer(db, name="db")
