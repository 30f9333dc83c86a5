"""A panel of the time line: how many agents can be reached, and how many want to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from lab.plots.style import GREEN, VERMILION, Fill
from lab.reach import Registration

REACHABLE = Fill(GREEN)
UNREACHABLE = Fill(VERMILION, "////")


def reach_steps(registrations: Iterable[Registration]) -> list[tuple[float, int, int]]:
    """From which second on how many agents are reachable, and how many unreachable.

    Examples
    --------
    >>> rows = [Registration("a", "1", "reachable", 0, 6), Registration("a", "1", "unreachable", 6)]
    >>> reach_steps(rows)
    [(0, 1, 0), (6, 0, 1)]
    """
    changes: dict[float, Counter[str]] = {}
    for each in registrations:
        changes.setdefault(each.began_at_s, Counter())[each.state] += 1
        if each.ended_at_s is not None:
            changes.setdefault(each.ended_at_s, Counter())[each.state] -= 1
    now: Counter[str] = Counter()
    steps = []
    for time_s in sorted(changes):
        for state, change in changes[time_s].items():
            now[state] += change
        steps.append((time_s, now["reachable"], now["unreachable"]))
    return steps


def draw_agents(axes: Axes, registrations: Iterable[Registration], end_s: float) -> list[Patch]:
    """Fill the panel; returns what its legend shows."""
    steps = reach_steps(registrations)
    times_s = [time_s for time_s, _, _ in steps] + [end_s]
    reachable = [float(count) for _, count, _ in steps]
    wanted = [float(count + gone) for _, count, gone in steps]
    reachable += reachable[-1:]
    wanted += wanted[-1:]
    axes.fill_between(times_s, 0, reachable, step="post", color=REACHABLE.color, linewidth=0)
    axes.fill_between(
        times_s,
        reachable,
        wanted,
        step="post",
        facecolor=UNREACHABLE.color,
        hatch=UNREACHABLE.hatch,
        edgecolor="white",
        linewidth=0,
    )
    axes.set_ylim(0, max([*wanted, 1.0]) * 1.08)
    axes.set_ylabel("agents")
    axes.set_title("Agents that want to be registered")
    return [
        Patch(facecolor=REACHABLE.color, label="reachable"),
        Patch(facecolor=UNREACHABLE.color, hatch=UNREACHABLE.hatch, edgecolor="white", label="unreachable"),
    ]
