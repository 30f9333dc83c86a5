"""Two stories of the same calls: how far apart in time their messages are."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.style import BLACK, BLUE, GREY, VERMILION, styled

if TYPE_CHECKING:
    from lab.twin.comparison import Comparison

_LEAST_MS = 0.01


def draw_comparison_in_time(comparison: Comparison, *, title: str = "") -> Figure:
    """Left: each common message, and how much later it was sent in the other story. Right: their distribution.

    Parameters
    ----------
    comparison : Comparison
        What `lab.twin.compare` found.
    title : str
        Above the picture; default: the two names.
    """
    with styled():
        figure = Figure(figsize=(9.5, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        left.set_title(title or f"{comparison.other.capitalize()} against {comparison.one}")
        later_ms = _messages(left, comparison)
        _distribution(right, sorted(max(abs(value), _LEAST_MS) for value in later_ms))
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=3)
    return figure


def _messages(axes: Axes, comparison: Comparison) -> list[float]:
    """A dot for each message; what only one story has stands at the edge."""
    steps = comparison.steps
    same = steps[steps["verdict"] == "same"]
    later_ms: list[float] = (1000 * same["later_s"]).tolist()
    most_ms = max([1.0, *(abs(value) for value in later_ms)]) * 2
    axes.scatter(same["one_s"], later_ms, s=9, color=BLUE, linewidths=0, label=f"{len(same):,} in both")
    for verdict, marker, who in (("missing", "x", comparison.one), ("extra", "+", comparison.other)):
        rows = steps[steps["verdict"] == verdict]
        if len(rows):
            look: dict[str, Any] = {"s": 26, "color": VERMILION, "marker": marker, "clip_on": False}
            heights = [-most_ms if verdict == "missing" else most_ms] * len(rows)
            label = f"{len(rows):,} only in {who}"
            axes.scatter(rows["one_s"].fillna(rows["other_s"]), heights, label=label, **look)
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(-most_ms, most_ms)
    axes.set_xlabel(f"sent in {comparison.one} (s)")
    axes.set_ylabel(f"later in {comparison.other} (ms)")
    return later_ms


def _distribution(axes: Axes, apart_ms: Sequence[float]) -> None:
    shares = [100 * (number + 1) / len(apart_ms) for number in range(len(apart_ms))]
    axes.step(apart_ms, shares, where="post", color=BLUE, linewidth=1.8)
    axes.set_xscale("log")
    if apart_ms:
        middle_ms = apart_ms[len(apart_ms) // 2]
        axes.axvline(middle_ms, color=GREY, linewidth=1.0, linestyle=(0, (4, 2)))
        text = f"median {middle_ms:.2g} ms"
        axes.annotate(text, (middle_ms, 8), xytext=(5, 0), textcoords="offset points", fontsize=8)
        axes.set_xlim(10 ** floor(log10(apart_ms[0])), 10 ** ceil(log10(apart_ms[-1] * 1.001)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 103)
    axes.set_xlabel("time between the two (ms)")
    axes.set_ylabel("messages no further apart (%)")
    axes.set_title("How far apart in time")
