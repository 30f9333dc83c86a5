"""``siptwin registrations``: who is registered at a running ``siptwin serve``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import typer

from lab.cli.options import Api, Control, Json, Token
from lab.cli.running import client

registrations = typer.Typer(
    no_args_is_help=True, help="List, show and end the registrations at a running `siptwin serve`."
)

User: TypeAlias = Annotated[str, typer.Argument(metavar="USER@HOST", help="The user's address of record.")]


@registrations.command("list")
def list_registrations(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many are shown at most.")] = 100,
    offset: Annotated[int, typer.Option(min=0, help="How many are left out before.")] = 0,
    control: Control = None,
    api: Api = None,
    token_file: Token = None,
    as_json: Json = False,
) -> None:
    """Show the contacts that nodes have accepted, and where they are reached."""
    found = client(control, api, token_file).get("v1", "registrations", limit=limit, offset=offset)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found["registrations"])
        typer.echo(f"{len(found['registrations'])} of {found['total']:,}")


@registrations.command("show")
def show(
    user: User, control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False
) -> None:
    """Show the contacts of one user."""
    found = client(control, api, token_file).get("v1", "registrations", user)
    typer.echo(json.dumps(found, indent=2)) if as_json else _show(found)


@registrations.command("kick")
def kick(
    user: User, control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False
) -> None:
    """Forget a user's contacts and close connections of its own, so that it has to register anew."""
    found = client(control, api, token_file).delete("v1", "registrations", user)
    typer.echo(json.dumps(found, indent=2)) if as_json else _show(found)


def _show(found: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console

    from lab.cli.tables import table
    from lab.wording import seconds

    rows = [
        (
            each["aor"],
            each["contact"],
            each["place"],
            each["node"],
            " ".join(each["nat"]),
            seconds(each["expires_s"]),
        )
        for each in found
    ]
    columns = ("user", "contact", "reached at", "node", "NAT", "expires in")
    Console().print(table("", *columns, rows=rows, words=5))
