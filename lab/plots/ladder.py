"""The call-flow ladder as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.ladder import GAP_S, Ladder, Step
from lab.plots.style import BLACK, BLUE, GREY, ORANGE, PALE, VERMILION, styled

_COLUMN_IN: Final = 2.1
_STEP_IN: Final = 0.27
_GAP_IN: Final = 0.30
_TIME_IN: Final = 0.95
STEPS_MAX: Final = 120
"""Of longer calls the picture shows the beginning; the text shows all."""


def draw_ladder(ladder: Ladder) -> Figure:
    """Time runs downwards, one message a line, so that what happened within a millisecond stays readable.

    Parameters
    ----------
    ladder : Ladder
        What `Report.call` brings.
    """
    steps = ladder.steps[:STEPS_MAX]
    heights_in = _heights(steps)
    depth_in = (heights_in[-1] if heights_in else 0.0) + 0.35
    width_in = _TIME_IN + _COLUMN_IN * max(len(ladder.places), 1)
    top_in, bottom_in = 1.0, 0.55
    total_in = top_in + depth_in + bottom_in
    column = {place: _TIME_IN + (index + 0.5) * _COLUMN_IN for index, place in enumerate(ladder.places)}
    with styled():
        figure = Figure(figsize=(width_in, total_in))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, width_in)
        axes.set_ylim(depth_in + bottom_in, -top_in)
        axes.text(0.15, -top_in + 0.22, ladder.title, fontsize=10.5, fontweight="bold", va="center")
        for place, x_in in column.items():
            axes.plot([x_in, x_in], [-0.22, depth_in], color=GREY, linewidth=0.9, zorder=1)
            box = {"boxstyle": "round,pad=0.35", "facecolor": PALE, "edgecolor": GREY, "linewidth": 0.8}
            axes.text(x_in, -0.36, place, ha="center", va="center", fontweight="bold", bbox=box)
        axes.text(_TIME_IN - 0.2, -0.36, "time (s)", ha="right", va="center", fontsize=8)
        _draw_steps(axes, steps, heights_in, column)
        axes.text(0.15, depth_in + bottom_in - 0.22, _legend(ladder), fontsize=8, va="center", color="#404040")
    return figure


def _heights(steps: Sequence[Step]) -> list[float]:
    """How far down each message stands; a pause gets some room."""
    heights_in: list[float] = []
    height_in, before_s = 0.15, 0.0
    for step in steps:
        height_in += _GAP_IN if step.sent_s - before_s >= GAP_S else 0.0
        heights_in.append(height_in)
        height_in, before_s = height_in + _STEP_IN, step.sent_s
    return heights_in


def _draw_steps(axes: Axes, steps: Sequence[Step], heights_in: Sequence[float], column: dict[str, float]) -> None:
    before_s = 0.0
    for step, height_in in zip(steps, heights_in, strict=True):
        if step.sent_s - before_s >= GAP_S:
            pause = f"{step.sent_s - before_s:.1f} s pass"
            y_in = height_in - _STEP_IN / 2 - _GAP_IN / 2
            axes.plot([_TIME_IN, max(column.values()) + 0.5], [y_in, y_in], color=GREY, linestyle=(0, (1, 3)))
            axes.text(_TIME_IN - 0.2, y_in, pause, ha="right", va="center", fontsize=7, style="italic", color=GREY)
        before_s = step.sent_s
        axes.text(_TIME_IN - 0.2, height_in, f"{step.sent_s:.4f}", ha="right", va="center", fontsize=8)
        _draw_arrow(axes, step, height_in, column[step.sender], column[step.receiver])


def _draw_arrow(axes: Axes, step: Step, height_in: float, start_in: float, end_in: float) -> None:
    color = VERMILION if not step.arrived else ORANGE if step.repeated else _color(step.label)
    reach_in = start_in + 0.86 * (end_in - start_in) if not step.arrived else end_in
    arrow = {
        "arrowstyle": "-|>" if step.arrived else "-",
        "color": color,
        "linewidth": 1.3,
        "linestyle": "--" if step.repeated or not step.arrived else "-",
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 9,
    }
    axes.annotate("", (reach_in, height_in), (start_in, height_in), arrowprops=arrow, zorder=2)
    if not step.arrived:
        axes.plot(reach_in, height_in, marker="x", markersize=7, markeredgewidth=1.8, color=color, zorder=3)
    label = step.label + (" (again)" if step.repeated else "")
    label += f" - {step.fate}" if not step.arrived else ""
    box = {"boxstyle": "square,pad=0.08", "facecolor": "white", "edgecolor": "none"}
    middle_in = (start_in + reach_in) / 2
    axes.text(middle_in, height_in, label, ha="center", va="center", fontsize=8, color=BLACK, bbox=box, zorder=4)


def _color(label: str) -> str:
    """Requests and answers below 300 are blue; what refuses is vermilion."""
    return VERMILION if label[:1] in "3456" else BLUE


def _legend(ladder: Ladder) -> str:
    left_out = len(ladder.steps) - STEPS_MAX
    more = f"; {left_out} later messages are left out" if left_out > 0 else ""
    return f"dashed: a retransmission, or a message that did not arrive (x){more}"
