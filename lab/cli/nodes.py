"""``siptwin nodes``: look at the nodes of a running ``siptwin serve``, and give orders about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from lab.cli.options import Control, Json

nodes = typer.Typer(
    no_args_is_help=True,
    help="List the nodes of a running `siptwin serve`, or take them out of service and back.",
)

NodeName: TypeAlias = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.")]

_STYLES: Final = {
    "active": "green",
    "suspect": "yellow",
    "down": "red",
    "returning": "cyan",
    "draining": "magenta",
}


@nodes.command("list")
def list_nodes(control: Control = None, as_json: Json = False) -> None:
    """Show each node's state, channels in use and history.

    Example:

        siptwin nodes list --json | jq '.[] | select(.state != "active") | .name'
    """
    from engine.live.control import ControlClient

    _show(ControlClient(control).nodes(), as_json=as_json)


def _order(order: str) -> Callable[[str, Path | None, bool], None]:
    def give(node: NodeName, control: Control = None, as_json: Json = False) -> None:
        from engine.live.control import ControlClient

        _show([ControlClient(control).order(node, order)], as_json=as_json)

    return give


for _name, _help in (
    ("drain", "Send a node no new calls; those that stand go on."),
    ("resume", "End a drain: the node takes calls again once it answers a probe."),
    ("disable", "Send a node no new calls and no probes; those that stand go on."),
    ("enable", "Take a disabled node back into service once it answers a probe."),
):
    nodes.command(_name, help=_help)(_order(_name))


def _show(snapshots: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(list(snapshots), indent=2))
        return
    from rich.console import Console
    from rich.text import Text

    from lab.cli.tables import table
    from lab.wording import milliseconds

    rows = [
        (
            node["name"],
            node["address"],
            Text(node["state"], style=_STYLES.get(node["state"], "")),
            _channels(node),
            f"{node['attempts']:,}",
            f"{node['failures']:,}",
            milliseconds(node["latency_s"]),
        )
        for node in snapshots
    ]
    columns = ("node", "address", "state", "in use", "attempts", "failures", "first answer")
    Console().print(table("", *columns, rows=rows))


def _channels(node: dict[str, Any]) -> str:
    used, capacity = node["in_use"], node["capacity"]
    names = list(dict.fromkeys([*capacity, *used]))
    return " ".join(
        f"{name} {used.get(name, 0)}/{capacity[name]}" if name in capacity else f"{name} {used[name]}"
        for name in names
    )
