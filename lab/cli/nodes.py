"""``siptwin nodes``: look at the nodes of a running ``siptwin serve``, and give orders about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from lab.cli.options import Api, Control, Json, Token
from lab.cli.running import client

if TYPE_CHECKING:
    from rich.text import Text

nodes = typer.Typer(
    no_args_is_help=True,
    help="List the nodes of a running `siptwin serve`, or take them out of service and back.",
)

NodeName: TypeAlias = Annotated[
    str, typer.Argument(metavar="NODE", help="The node's name; in orders also a relay's, or the edge's.")
]

_STYLES: Final = {
    "active": "green",
    "suspect": "yellow",
    "down": "red",
    "returning": "cyan",
    "draining": "magenta",
}


@nodes.command("list")
def list_nodes(control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False) -> None:
    """Show each node's state, channels in use and history.

    Example:

        siptwin nodes list --json | jq '.[] | select(.state != "active") | .name'
    """
    _show(client(control, api, token_file).get("v1", "nodes"), as_json=as_json)


def _order(order: str) -> Callable[[str, Path | None, str | None, Path | None, bool], None]:
    def give(
        node: NodeName, control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False
    ) -> None:
        _show([client(control, api, token_file).post("v1", "nodes", node, order)], as_json=as_json)

    return give


for _name, _help in (
    ("drain", "Send a node, a relay or the edge no new calls; those that stand go on."),
    ("resume", "End a drain: the node takes calls again once it answers a probe."),
    ("disable", "Send a node no new calls and no probes; those that stand go on."),
    ("enable", "Take a disabled node back into service once it answers a probe."),
):
    nodes.command(_name, help=_help)(_order(_name))


@nodes.command("add")
def add(
    node: NodeName,
    host: Annotated[str, typer.Argument(metavar="HOST", help="Its IP address or name.")],
    port: Annotated[int, typer.Option(help="Its SIP port.")] = 5060,
    group: Annotated[list[str] | None, typer.Option(help="Its group, fs by default; can be repeated.")] = None,
    resources: Annotated[str, typer.Option(help="Its channels, as pstn=500;conf=100.")] = "",
    interface: Annotated[str | None, typer.Option(help="The edge's interface that faces it.")] = None,
    control: Control = None,
    api: Api = None,
    token_file: Token = None,
    as_json: Json = False,
) -> None:
    """Add a node until the next reload: to keep it, write it into the topology as well.

    Example:

        siptwin nodes add FS3 10.0.0.13 --resources pstn=500 --interface inside
    """
    from lab.errors import InputError
    from topologies.base import pairs
    from topologies.errors import RefusedError

    try:
        channels = pairs(resources, remedy="write it as pstn=500;conf=100")
    except RefusedError as error:
        raise InputError(str(error)) from None
    body = {
        "name": node,
        "host": host,
        "port": port,
        "groups": group or ["fs"],
        "resources": channels,
        "interface": interface,
    }
    _show([client(control, api, token_file).post("v1", "nodes", body=body)], as_json=as_json)


@nodes.command("reload")
def reload(control: Control = None, api: Api = None, token_file: Token = None, as_json: Json = False) -> None:
    """Read the topology anew, as SIGHUP does: all of it is taken over, or nothing, with the reason."""
    version = client(control, api, token_file).post("v1", "reload")
    typer.echo(json.dumps(version, indent=2) if as_json else f"configuration {version['configuration'][:12]}")


def _show(snapshots: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(list(snapshots), indent=2))
        return
    from rich.console import Console

    from lab.cli.tables import table
    from lab.wording import milliseconds

    rows = [
        (
            node["name"],
            node["address"],
            _state(node),
            _channels(node),
            f"{node['attempts']:,}",
            f"{node['failures']:,}",
            milliseconds(node["latency_s"]),
        )
        for node in snapshots
    ]
    columns = ("node", "address", "state", "in use", "attempts", "failures", "first answer")
    Console().print(table("", *columns, rows=rows))


def _state(node: dict[str, Any]) -> Text:
    """Its state, and what its event socket adds to it."""
    from rich.text import Text

    text = Text(node["state"], style=_STYLES.get(node["state"], ""))
    if node["paused"]:
        text.append(", paused", style="magenta")
    if node["events"] is False:
        text.append(", events lost", style="yellow")
    return text


def _channels(node: dict[str, Any]) -> str:
    used, capacity = node["in_use"], node["capacity"]
    names = list(dict.fromkeys([*capacity, *used]))
    return " ".join(
        f"{name} {used.get(name, 0)}/{capacity[name]}" if name in capacity else f"{name} {used[name]}"
        for name in names
    )
