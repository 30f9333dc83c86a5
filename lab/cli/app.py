"""All commands of ``siptwin``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final

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

    Exit codes: 0 all is well, 1 the run found something wrong, 2 the input is wrong (one line says what to do),
    70 a fault of siptwin's own, 130 interrupted by Ctrl-C.
    """


_FORECAST: Final = "Forecast: in simulation and on loopback"
_CARRY: Final = "Carry calls"
_OPERATE: Final = "Operate a running siptwin serve"

_PANELS: Final[Mapping[str, Sequence[Callable[..., None]]]] = {
    _FORECAST: (simulate, rehearse, forecast, sweep, replay, plan, designs, lab),
    _CARRY: (check, serve, doctor, certificate),
    _OPERATE: (status,),
}

for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(db, name="db", rich_help_panel=_CARRY)
app.add_typer(nodes, name="nodes", rich_help_panel=_OPERATE)
app.add_typer(calls, name="calls", rich_help_panel=_OPERATE)
app.add_typer(registrations, name="registrations", rich_help_panel=_OPERATE)
