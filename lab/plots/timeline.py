"""The time line of a run: calls per second by what became of them, set-up delays, agents, node states, faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lab.facts import Call, Event, Facts, NodeState
from lab.plots.agents import draw_agents
from lab.plots.style import BLACK, BLUE, GREY, NODE_STATES, ORANGE, PURPLE, VERMILION, Fill, styled

_WIDTH_IN: Final = 10.0
_LEFT, _RIGHT = 0.105, 0.985  # of the axes, as shares of the figure's width
_LETTER_IN: Final = 0.075  # of the labels, on average
_BINS_MAX: Final = 240
_PLACES_NAMED: Final = 3
_FATES: Final = {
    "answered": Fill(BLUE),
    "answered after failover": Fill(ORANGE, "...."),
    "failed": Fill(VERMILION, "////"),
    "gave up": Fill(PURPLE, "xxxx"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was done to the system at a moment."""

    at_s: float
    text: str


def marks_of(events: Iterable[Event]) -> list[Mark]:
    """A mark for all of a kind that happened at one moment: ``kill FS1``, ``partition edge1 FS3``."""
    together: dict[tuple[float, str], dict[str, None]] = {}
    for event in events:
        places = together.setdefault((event.time_s, event.kind), {})
        places.setdefault(event.target)
        if event.kind in ("partition", "loss", "heal"):
            places.setdefault(event.other)
    marks = []
    for (time_s, kind), places in together.items():
        named = " ".join(places) if len(places) <= _PLACES_NAMED else f"{len(places)} places"
        marks.append(Mark(time_s, f"{kind.replace('_', ' ')} {named}"))
    return marks


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the picture shows.

    Attributes
    ----------
    title : str
        One line above the picture.
    facts : Facts
        What happened.
    nodes : sequence of (str, str)
        Edge and node, a row of states each.
    duration_s : float
        New calls came until then.
    end_s : float
        End of the run.
    marks : sequence of Mark
        Faults and orders.
    disabled : frozenset of str
        Nodes that were disabled from the start.
    """

    title: str
    facts: Facts
    nodes: Sequence[tuple[str, str]]
    duration_s: float
    end_s: float
    marks: Sequence[Mark]
    disabled: frozenset[str] = frozenset()


def draw_timeline(what: Timeline) -> Figure:
    """The picture; its axis of time ends with the arrivals. What a run had none of has no panel.

    Parameters
    ----------
    what : Timeline
        What is shown; `Report.timeline` puts it together.
    """
    rows = _label_rows(what.marks, what.duration_s)
    marks_in = 0.17 * (max(rows, default=-1) + 1)
    agents = what.facts.registrations
    drawers: list[tuple[float, Callable[[Axes], None]]] = []
    if what.facts.calls or not agents:
        drawers.append((2.2, lambda axes: _calls_per_second(axes, what)))
        drawers.append((1.5, lambda axes: _setup_delays(axes, what.facts.calls)))
    if agents:
        drawers.append((1.2, lambda axes: _legend(axes, draw_agents(axes, agents, what.end_s))))
    drawers.append((0.30 * max(len(what.nodes), 1), lambda axes: _node_states(axes, what)))
    top_in, bottom_in, gap_in = 0.62 + marks_in, 0.6, 0.55
    total_in = top_in + bottom_in + sum(height_in for height_in, _ in drawers) + (len(drawers) - 1) * gap_in
    with styled():
        figure = Figure(figsize=(_WIDTH_IN, total_in))
        panels: list[Axes] = []
        above_in = total_in - top_in
        for height_in, draw in drawers:
            box = (_LEFT, (above_in - height_in) / total_in, _RIGHT - _LEFT, height_in / total_in)
            panels.append(figure.add_axes(box, sharex=panels[0] if panels else None))
            above_in -= height_in + gap_in
            draw(panels[-1])
        _marks(panels, what.marks, rows, what.duration_s)
        for panel in panels[:-1]:
            panel.tick_params(labelbottom=False)
        panels[-1].set_xlim(0, what.duration_s)
        panels[-1].set_xlabel("time (s)")
        figure.text(_LEFT, 1 - 0.24 / total_in, what.title, fontsize=11, fontweight="bold", va="center")
    return figure


def fate_of(call: Call) -> str | None:
    """The colour that a call counts for; None while it is open."""
    if call.outcome == "answered":
        return "answered after failover" if call.failed_over else "answered"
    return None if call.outcome == "open" else call.outcome


def _calls_per_second(axes: Axes, what: Timeline) -> None:
    width_s = max(1, ceil(what.duration_s / _BINS_MAX))
    bins = ceil(what.duration_s / width_s)
    counts = {fate: [0] * bins for fate in _FATES}
    for call in what.facts.calls:
        fate = fate_of(call)
        if fate is not None and call.placed_at_s < what.duration_s:
            counts[fate][int(call.placed_at_s // width_s)] += 1
    base = [0.0] * bins
    starts = [float(index * width_s) for index in range(bins)]
    for fate, fill in _FATES.items():
        heights = [count / width_s for count in counts[fate]]
        if any(heights):
            axes.bar(
                starts,
                heights,
                width=width_s,
                bottom=base,
                align="edge",
                color=fill.color,
                hatch=fill.hatch,
                edgecolor="white",
                linewidth=0.3,
            )
        base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_ylabel("calls per second")
    axes.set_title("Calls, by the moment they were placed")
    axes.set_ylim(0, max([*base, 1.0]) * 1.08)
    handles = [
        Patch(facecolor=fill.color, hatch=fill.hatch, edgecolor="white", label=f"{fate} {sum(counts[fate]):,}")
        for fate, fill in _FATES.items()
    ]
    _legend(axes, handles)


def _setup_delays(axes: Axes, calls: Sequence[Call]) -> None:
    for over, fill, marker in ((False, _FATES["answered"], "."), (True, _FATES["answered after failover"], "D")):
        shown = [call for call in calls if call.setup_s is not None and call.failed_over == over]
        axes.scatter(
            [call.placed_at_s for call in shown],
            [max(call.setup_s or 0.0, 1e-5) * 1000 for call in shown],
            s=9 if over else 8,
            marker=marker,
            color=fill.color,
            linewidths=0,
            zorder=3 if over else 2,
        )
    axes.set_yscale("log")
    axes.set_ylabel("delay (ms)")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_title("Set-up delay: first INVITE to the first 180, 183 or 200")
    drawn = any(call.setup_s is not None for call in calls)
    low, high = axes.get_ylim() if drawn else (1.0, 1000.0)
    axes.set_ylim(min(low, 1.0), max(high, 1000.0))
    handles = [
        Line2D([], [], marker=".", color=_FATES["answered"].color, linestyle="", label="first node"),
        Line2D(
            [],
            [],
            marker="D",
            markersize=3,
            color=_FATES["answered after failover"].color,
            linestyle="",
            label="after failover",
        ),
    ]
    _legend(axes, handles)


def _node_states(axes: Axes, what: Timeline) -> None:
    several_edges = len({edge for edge, _ in what.nodes}) > 1
    used: set[str] = set()
    for row, key in enumerate(what.nodes):
        for state, start_s, end_s in _spans(key, what):
            fill = NODE_STATES.get(state, Fill(GREY))
            used.add(state)
            axes.barh(
                row,
                end_s - start_s,
                left=start_s,
                height=0.72,
                color=fill.color,
                hatch=fill.hatch,
                edgecolor="white",
                linewidth=0,
            )
    axes.set_yticks(
        range(len(what.nodes)),
        [f"{node} at {edge}" if several_edges else node for edge, node in what.nodes],
    )
    axes.set_ylim(len(what.nodes) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_title("Nodes, as the edge sees them" if not several_edges else "Nodes, as each edge sees them")
    handles = [
        Patch(facecolor=fill.color, hatch=fill.hatch, edgecolor="white", label=state)
        for state, fill in NODE_STATES.items()
        if state in used
    ]
    _legend(axes, handles)


def _spans(key: tuple[str, str], what: Timeline) -> list[tuple[str, float, float]]:
    changes: list[NodeState] = [each for each in what.facts.node_states if (each.edge, each.node) == key]
    state = changes[0].before if changes else "disabled" if key[1] in what.disabled else "active"
    since_s = 0.0
    spans = []
    for change in changes:
        spans.append((state, since_s, change.time_s))
        state, since_s = change.after, change.time_s
    spans.append((state, since_s, max(what.end_s, what.duration_s, since_s)))
    return spans


def _marks(panels: Sequence[Axes], marks: Sequence[Mark], rows: Sequence[int], duration_s: float) -> None:
    for mark in marks:
        for panel in panels:
            panel.axvline(mark.at_s, color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=4)
    top = panels[0]
    for mark, row in zip(marks, rows, strict=True):
        leftwards = _length_s(mark, duration_s) + mark.at_s > duration_s
        top.annotate(
            f"{mark.text} ▼" if leftwards else f"▼ {mark.text}",
            (mark.at_s, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3.3 if leftwards else -3.3, 19 + 12 * row),
            textcoords="offset points",
            ha="right" if leftwards else "left",
            fontsize=8,
            annotation_clip=False,
        )


def _label_rows(marks: Sequence[Mark], duration_s: float) -> list[int]:
    """A row for each label, so that none covers another."""
    ends_s: list[float] = []
    rows = []
    for mark in marks:
        length_s = _length_s(mark, duration_s)
        start_s = mark.at_s - (length_s if mark.at_s + length_s > duration_s else 0.0)
        row = next((index for index, end_s in enumerate(ends_s) if end_s <= start_s), len(ends_s))
        ends_s[row : row + 1] = [max(start_s + length_s, mark.at_s + length_s * 0.1)]
        rows.append(row)
    return rows


def _length_s(mark: Mark, duration_s: float) -> float:
    """How much of the axis of time a label covers."""
    return (len(mark.text) + 4) * _LETTER_IN * duration_s / ((_RIGHT - _LEFT) * _WIDTH_IN)


def _legend(axes: Axes, handles: Sequence[Patch | Line2D]) -> None:
    axes.legend(
        handles=list(handles),
        loc="lower right",
        bbox_to_anchor=(1.0, 0.985),
        ncols=max(len(handles), 1),
        borderaxespad=0,
        columnspacing=1.2,
        handlelength=1.4,
        handletextpad=0.5,
    )
