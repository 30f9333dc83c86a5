"""``siptwin plan``: from the busy hour to channels, nodes, agents, edges and bandwidth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lab.cli.options import Json, NoPictures

if TYPE_CHECKING:
    from lab.capacity.plan import Plan

_WORDS: Final = {
    "agent_load": "agents' load",
    "service_level": "service level",
    "channel_load": "channels' load",
    "channels_per_node": "channels per node",
    "edge_cores": "edge cores",
    "bandwidth_mbit_per_s": "bandwidth",
}
_WHOLE: Final = ("agents", "channels", "nodes", "channels_per_node", "edges")
_SHARES: Final = ("service_level", "occupancy")


def plan(
    calls_per_hour: Annotated[
        float, typer.Option("--calls-per-hour", "-c", metavar="N", help="Calls offered in the busiest hour.")
    ],
    hold: Annotated[float, typer.Option("--hold", metavar="SECONDS", help="Mean conversation.")],
    agents: Annotated[
        int | None,
        typer.Option(
            "--agents", "-a", metavar="N", min=1, help="Who take the calls; default: what the target takes."
        ),
    ] = None,
    wrap_up: Annotated[
        float, typer.Option("--wrap-up", metavar="SECONDS", help="What an agent needs after each call.")
    ] = 0.0,
    level: Annotated[
        float, typer.Option("--service-level", metavar="SHARE", help="This share of calls is to be taken ...")
    ] = 0.8,
    within: Annotated[float, typer.Option("--within", metavar="SECONDS", help="... within so long.")] = 20.0,
    blocking: Annotated[
        float,
        typer.Option("--blocking", metavar="SHARE", help="Calls that may find no free channel: 0.01 is 1 %."),
    ] = 0.01,
    node_channels: Annotated[
        int, typer.Option("--node-channels", metavar="N", help="Calls that one FreeSWITCH carries.")
    ] = 500,
    spare: Annotated[
        int, typer.Option("--spare", metavar="N", help="Nodes, and edges, that may be away: 1 is N+1.")
    ] = 1,
    edge_ms: Annotated[
        float, typer.Option("--edge-ms", metavar="MS", help="CPU time of the edge for a call; see `make bench`.")
    ] = 1.6,
    codec: Annotated[str, typer.Option("--codec", help="PCMA, PCMU, G722, G729, GSM, iLBC or opus.")] = "PCMA",
    packet_ms: Annotated[float, typer.Option("--packet-ms", metavar="MS", help="Speech in a packet.")] = 20.0,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the picture goes.")] = Path(
        "results/plan.png"
    ),
    as_json: Json = False,
    no_pictures: NoPictures = False,
) -> None:
    """Say what a busy hour takes: agents, channels, nodes, edges and bandwidth, each with the reason.

    Agents by Erlang's formula C (callers wait), channels by B (callers are refused). Try the answer in simulation:
    write the channels into a topology, offer the calls, kill a node.

    Examples:

        siptwin plan --calls-per-hour 2400 --hold 180
        siptwin plan -c 12000 --hold 180 --wrap-up 10 --agents 700 --node-channels 200
        siptwin plan -c 2400 --hold 180 --json | jq .answers.channels.value
    """
    from lab.capacity.plan import Wishes
    from lab.capacity.plan import plan as work_out

    made = work_out(
        Wishes(
            calls_per_hour=calls_per_hour,
            hold_s=hold,
            blocking=blocking,
            agents=agents,
            wrap_up_s=wrap_up,
            level=level,
            within_s=within,
            node_channels=node_channels,
            spare=spare,
            edge_ms_per_call=edge_ms,
            codec=codec,
            packet_ms=packet_ms,
        )
    )
    picture = None if no_pictures else _picture(made, out)
    if as_json:
        typer.echo(json.dumps({**made.to_json(), "files": [str(picture)] if picture else []}, indent=2))
        return
    from rich.console import Console

    from lab.cli.tables import table

    console = Console()
    rows = [
        (_WORDS.get(name, name), _figure(name, answer.value), answer.unit, answer.why)
        for name, answer in made.answers.items()
    ]
    shown = table("", "", "", "", "why", rows=rows, words=4)
    shown.columns[1].justify = "right"
    for column in shown.columns[:3]:
        column.no_wrap = True
    console.print(shown)
    if picture:
        console.print(f"\npicture:  {picture}", highlight=False)


def _figure(name: str, value: float) -> str:
    if name in _WHOLE:
        return f"{value:,.0f}"
    if name in _SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def _picture(made: Plan, path: Path) -> Path:
    from lab.plots.plan import draw_plan
    from lab.plots.style import save

    return save(draw_plan(made), path)
