"""A topology as a graph: who talks to whom, how many calls take which way, and what must not fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lab.facts import Facts
from lab.findings.paths import single_points
from lab.plots.style import BLACK, BLUE, GREEN, GREY, SKY, VERMILION, styled
from topologies import Topology

_COLUMN_IN: Final = 3.2
_ROW_IN: Final = 0.8
_WIDEST_PT: Final = 8.0
_KINDS: Final = (("clients", SKY), ("edges", BLUE), ("nodes", GREEN))

Ways = Mapping[tuple[str, str], int]
"""How many calls went from one place to the next."""


def ways_of(facts: Facts, topology: Topology) -> Ways:
    """The ways that the calls of a run took: from client to edge, and every attempt from edge to node.

    Parameters
    ----------
    facts : Facts
        Of a run.
    topology : Topology
        That was run.
    """
    clients = {place: name for name in topology.clients for place in _places(topology, name)}
    edges = {call.call_id: call.edge for call in facts.calls if call.edge}
    taken = Counter(
        (clients.get(call.caller, call.caller), edges[call.call_id]) for call in facts.calls if call.edge
    )
    taken.update((attempt.edge, attempt.node) for attempt in facts.attempts)
    return taken


def _places(topology: Topology, client: str) -> Sequence[str]:
    named = topology.clients[client]
    return [client, *(f"{client}/{user}" for user in named.users.names)]


def draw_topology(topology: Topology, ways: Ways | None = None, policy: str | None = None) -> Figure:
    """Clients, edges and nodes from left to right; a single point of failure has a heavy, broken frame.

    Parameters
    ----------
    topology : Topology
        What is drawn.
    ways : mapping, optional
        Calls by way (`ways_of`): lines as wide as they were busy, with their number.
    policy : str, optional
        What routed, where it was not the edges' own policy.
    """
    columns = [(kind, color, list(getattr(topology, kind))) for kind, color in _KINDS]
    columns = [column for column in columns if column[2]]
    rows = max(len(names) for _, _, names in columns)
    width_in, height_in = _COLUMN_IN * len(columns), _ROW_IN * max(rows, 2) + 1.1
    places = {
        name: (_COLUMN_IN * (number + 0.5), _ROW_IN * (rows - 1) / 2 - _ROW_IN * (row - (len(names) - 1) / 2))
        for number, (_, _, names) in enumerate(columns)
        for row, name in enumerate(names)
    }
    weak = single_points(topology)
    with styled():
        figure = Figure(figsize=(width_in, height_in))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, width_in)
        axes.set_ylim(-_ROW_IN * 0.5 - 0.55, height_in - _ROW_IN * 0.5 - 0.55)
        axes.text(
            0.15, height_in - _ROW_IN * 0.5 - 0.75, topology.name, fontsize=11, fontweight="bold", va="center"
        )
        _draw_ways(axes, topology, places, ways)
        for _, color, names in columns:
            for name in names:
                _draw_place(axes, name, _under(topology, name, policy), places[name], color, weak=name in weak)
        handles = [Patch(facecolor=_pale(color), edgecolor=color, label=kind) for kind, color, _ in columns]
        if weak:
            mark = Line2D([], [], color=VERMILION, linewidth=2.4, linestyle=(0, (4, 1.5)))
            mark.set_label("single point of failure")
            figure.legend(handles=[*handles, mark], loc="lower center", ncols=4)
        else:
            figure.legend(handles=handles, loc="lower center", ncols=4)
    return figure


def _draw_ways(
    axes: Axes, topology: Topology, places: Mapping[str, tuple[float, float]], ways: Ways | None
) -> None:
    known = [(client, topology.entry(client)[0]) for client in topology.clients]
    known += [(edge, node) for edge in topology.edges for node in topology.served(edge)]
    most = max(ways.values(), default=0) if ways else 0
    for one, other in known:
        (from_x, from_y), (to_x, to_y) = places[one], places[other]
        calls = ways.get((one, other), 0) if ways is not None else 0
        width_pt = 1.0 if not most else 0.6 + _WIDEST_PT * calls / most
        axes.plot([from_x, to_x], [from_y, to_y], color=GREY, linewidth=width_pt, zorder=1, alpha=0.75)
        if ways is not None:
            # Nearer to the right end the ways of one edge are furthest apart.
            x_in, y_in = from_x + 0.58 * (to_x - from_x), from_y + 0.58 * (to_y - from_y)
            box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
            axes.text(x_in, y_in, f"{calls:,}", ha="center", va="center", fontsize=8, bbox=box, zorder=2)


def _draw_place(axes: Axes, name: str, under: str, place: tuple[float, float], color: str, *, weak: bool) -> None:
    box = {
        "boxstyle": "round,pad=0.45",
        "facecolor": _pale(color),
        "edgecolor": VERMILION if weak else color,
        "linewidth": 2.4 if weak else 1.2,
        "linestyle": (0, (4, 1.5)) if weak else "-",
    }
    text = f"{name}\n{under}" if under else name
    axes.text(*place, text, ha="center", va="center", fontsize=8.5, color=BLACK, bbox=box, zorder=3)


def _under(topology: Topology, name: str, policy: str | None) -> str:
    """A few words on a place."""
    if name in topology.edges:
        return policy or topology.edges[name].policy.use
    if name in topology.nodes:
        return " ".join(f"{kind}={count}" for kind, count in list(topology.nodes[name].resources.items())[-1:])
    users = len(topology.clients[name].users)
    return f"{users} users" if users > 1 else "1 user"


def _pale(color: str) -> tuple[float, float, float]:
    share = 0.2
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return (1 - share + share * red, 1 - share + share * green, 1 - share + share * blue)
