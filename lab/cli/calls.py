"""``siptwin calls``: the calls of a running ``siptwin serve``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from lab.cli.options import Api, Control, Json, Token
from lab.cli.running import client

calls = typer.Typer(no_args_is_help=True, help="List, show, end and trace the calls of a running `siptwin serve`.")

CallId: TypeAlias = Annotated[str, typer.Argument(metavar="CALL-ID", help="The call's Call-ID.")]
Limit: TypeAlias = Annotated[int, typer.Option(min=1, max=1000, help="How many are shown at most.")]
Offset: TypeAlias = Annotated[int, typer.Option(min=0, help="How many are left out before.")]


@calls.command("list")
def list_calls(
    node: Annotated[str | None, typer.Option(help="Only those through this node.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
    control: Control = None,
    api: Api = None,
    token_file: Token = None,
    as_json: Json = False,
) -> None:
    """Show the calls that stand through a node, the oldest first.

    Example:

        siptwin calls list --node FS1
    """
    found = client(control, api, token_file).get("v1", "calls", node=node, limit=limit, offset=offset)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found["calls"])
        typer.echo(f"{len(found['calls'])} of {found['total']:,}")


@calls.command("show")
def show(
    call_id: CallId, control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False
) -> None:
    """Show one call."""
    call = client(control, api, token_file).get("v1", "calls", call_id)
    typer.echo(json.dumps(call, indent=2)) if as_json else _show([call])


@calls.command("end")
def end(
    call_id: CallId, control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False
) -> None:
    """End a call on both sides: by its node where that has an event socket, else by the edge."""
    call = client(control, api, token_file).delete("v1", "calls", call_id)
    typer.echo(json.dumps(call, indent=2)) if as_json else _show([call])


@calls.command("trace")
def trace(
    call_id: Annotated[str | None, typer.Argument(metavar="CALL-ID", help="The call's Call-ID.")] = None,
    user: Annotated[str | None, typer.Option(help="Instead of a call: all messages of this user.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the pcap goes.")] = Path(
        "trace.pcap"
    ),
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400.0, help="How long; Ctrl-C ends it too.")] = 60.0,
    homer: Annotated[
        bool, typer.Option("--homer", help="Send it to the edge's Homer, and write no file.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End all that is sent to Homer by order.")] = False,
    control: Control = None,
    api: Api = None,
    token_file: Token = None,
) -> None:
    """Capture the signalling of a call or a user as it passes: out of TLS, out of WebSocket frames.

    Examples:

        siptwin calls trace --user 1000 --seconds 120 -o 1000.pcap && wireshark 1000.pcap
        siptwin calls trace a84b4c76e66710 --homer
    """
    from engine.live.errors import reason_of
    from lab.errors import InputError

    asked = {"call_id": call_id or "", "user": user or "", "seconds": seconds}
    reach = client(control, api, token_file)
    if stop:
        typer.echo(reach.delete("v1", "captures")["what"])
        return
    if homer:
        typer.echo(reach.post("v1", "captures", body=asked)["what"])
        return
    size = 0
    parts = reach.stream("v1", "captures", **asked)
    with suppress(KeyboardInterrupt):
        first = next(parts, b"")  # a refusal must leave an earlier file as it is
        try:
            with out.open("wb") as file:
                for part in chain((first,), parts):
                    file.write(part)
                    file.flush()
                    size += len(part)
        except OSError as error:
            raise InputError(f"cannot write {out}: {reason_of(error)} - name another file with -o") from None
    typer.echo(f"{out}: {size:,} bytes" if size else "nothing came, nothing is written")


def _show(found: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console

    from lab.cli.tables import table
    from lab.wording import seconds

    rows = [
        (
            call["call_id"],
            call["caller"] or "",
            call["callee"] or "",
            call["node"],
            seconds(call["age_s"]),
            call["partner"] or "",
        )
        for call in found
    ]
    columns = ("call", "caller", "called", "node", "age", "other leg")
    Console().print(table("", *columns, rows=rows, words=4))
