"""``siptwin doctor``: agents register, call and listen, and what fails is told with its cause and remedy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lab.cli.errors import FOUND_SOMETHING
from lab.cli.options import Json, Settings, TopologyName

if TYPE_CHECKING:
    from lab.doctor import Verdict

_STYLES: Final = {"green": "green", "red": "bold red", "skipped": "dim"}


def doctor(
    topology: TopologyName,
    *,
    settings: Settings,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Start edges and modelled nodes on loopback first, and try those.")
    ] = False,
    edge: Annotated[
        str | None, typer.Option("--edge", metavar="NAME", help="The edge that is tried; default: the first.")
    ] = None,
    users: Annotated[
        str,
        typer.Option(
            metavar="USER,...",
            help="Accounts that nobody else uses meanwhile, two for each interface that agents talk to; default: "
            "those of the topology's clients.",
        ),
    ] = "",
    password_env: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE", help="Environment variable with their password; default: the topology's."
        ),
    ] = None,
    echo: Annotated[str, typer.Option(metavar="NUMBER", help="Number that sends back what it hears.")] = "9196",
    tone: Annotated[str, typer.Option(metavar="NUMBER", help="Number that plays something.")] = "9664",
    listen: Annotated[float, typer.Option(metavar="SECONDS", min=0.2, help="How long each call lasts.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Try a deployment that runs: agents register at each interface, call an echo, a tone, each other, and listen.

    Each step is green, red with the cause and the remedy, or skipped where what it stands on is red. Each agent
    says a tone of its own, which the other side must hear: softphones by plain RTP, browsers by WebRTC. Exit code
    1: a step is red.

    Examples:

        siptwin doctor webrtc --rehearse
        siptwin doctor my.yaml --users 1990,1991,1992,1993 --password-env DOCTOR_PASSWORD
        SSL_CERT_FILE=authority.pem siptwin doctor my.yaml --json
    """
    from rich.console import Console

    from lab.cli.reading import read_topology
    from lab.deployment import read_secret
    from lab.doctor import examine

    console = Console(stderr=True)
    read = read_topology(topology, settings)
    with console.status("") as status:
        verdicts = examine(
            read,
            rehearse=rehearse,
            edge=edge,
            users=[user.strip() for user in users.split(",") if user.strip()],
            password=read_secret("--password-env", password_env, None),
            echo=echo,
            tone=tone,
            listen_s=listen,
            on_step=status.update,
        )
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))
    else:
        _print(verdicts)
    if any(verdict.outcome == "red" for verdict in verdicts):
        raise typer.Exit(FOUND_SOMETHING)


def _print(verdicts: list[Verdict]) -> None:
    from rich.console import Console
    from rich.text import Text

    from lab.cli.tables import table

    console = Console()
    rows = [
        (Text(verdict.outcome, style=_STYLES[verdict.outcome]), verdict.step, Text(verdict.told))
        for verdict in verdicts
    ]
    console.print(table("", "", "step", "seen", rows=rows, words=3))
    for verdict in verdicts:
        if verdict.outcome == "red":
            line = Text(f"{verdict.step}: ", style="bold red")
            console.print(
                line.append(f"{verdict.why} - {verdict.remedy}", style="default not bold"), soft_wrap=True
            )
