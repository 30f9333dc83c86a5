"""``siptwin status``: what runs, with which settings, and whether it takes calls."""

from __future__ import annotations

import json

import typer

from lab.cli.errors import FOUND_SOMETHING
from lab.cli.options import Api, Control, Json, Token
from lab.cli.running import client


def status(control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False) -> None:
    """Show the version and settings of a running `siptwin serve`, since when, and whether it takes new calls.

    Exit code 1: it does not.

    Example:

        siptwin status --json | jq .configuration
    """
    from datetime import datetime

    reach = client(control, api, token_file)
    told = {**reach.get("v1", "version"), **reach.health()}
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        started, configured = (
            datetime.fromtimestamp(told[name]).astimezone().isoformat(" ", "seconds")
            for name in ("started_at", "configured_at")
        )
        typer.echo(f"siptwin {told['siptwin']}, edge {told['edge']}, since {started}")
        typer.echo(f"configuration {told['configuration'][:12]}, since {configured}")
        typer.echo("takes new calls" if told["healthy"] else f"takes no new calls: {told['why']}")
    if not told["healthy"]:
        raise typer.Exit(FOUND_SOMETHING)
