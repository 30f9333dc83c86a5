"""A plan as a picture: how the wanted quality follows from the number of channels, and of agents."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.capacity.erlang import erlang_b, service_level
from lab.capacity.plan import Plan
from lab.plots.style import BLACK, BLUE, GREEN, VERMILION, styled

_SPAN: Final = 0.25  # of the answer, shown on either side


def draw_plan(made: Plan) -> Figure:
    """Left: the share of calls refused, by channels. Right: the share taken in time, by agents.

    Parameters
    ----------
    made : Plan
        What `lab.capacity.plan.plan` brings.
    """
    with styled():
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        _blocking(left, made)
        _waiting(right, made)
    return figure


def _blocking(axes: Axes, made: Plan) -> None:
    offered, channels = made["channel_load"], round(made["channels"])
    numbers = _around(channels)
    axes.plot(numbers, [100 * erlang_b(offered, number) for number in numbers], color=BLUE, label="Erlang B")
    _target(axes, 100 * made.wishes.blocking, f"at most {made.wishes.blocking:.2%}")
    _answer(axes, channels, 100 * erlang_b(offered, channels), f"{channels:,} channels")
    axes.set_title(f"Calls refused, of {offered:,.1f} Erlang")
    axes.set_xlabel("channels")
    axes.set_ylabel("refused (%)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _waiting(axes: Axes, made: Plan) -> None:
    wishes, offered, agents = made.wishes, made["agent_load"], round(made["agents"])
    numbers = _around(agents)
    handling_s = wishes.hold_s + wishes.wrap_up_s
    levels = [100 * service_level(offered, number, handling_s, wishes.within_s) for number in numbers]
    axes.plot(numbers, levels, color=GREEN, label="Erlang C")
    _target(axes, 100 * wishes.level, f"at least {wishes.level:.0%}")
    _answer(axes, agents, 100 * made["service_level"], f"{agents:,} agents", leftwards=True)
    axes.set_title(f"Calls taken within {wishes.within_s:g} s, of {offered:,.1f} Erlang")
    axes.set_xlabel("agents")
    axes.set_ylabel("taken in time (%)")
    axes.set_ylim(0, 114)  # room for the answer above a curve that has come to its end
    axes.set_yticks(range(0, 101, 20))
    axes.legend(loc="lower right")


def _around(answer: int) -> range:
    span = max(5, round(answer * _SPAN))
    return range(max(0, answer - span), answer + span + 1)


def _target(axes: Axes, percent: float, words: str) -> None:
    axes.axhline(percent, color=VERMILION, linestyle="--", linewidth=1.0, label=words)


def _answer(axes: Axes, number: int, percent: float, words: str, *, leftwards: bool = False) -> None:
    """The answer's point, and its words where its curve is not: above a falling one, left of a rising one."""
    axes.plot(number, percent, marker="o", markersize=6, color=BLACK, linestyle="", zorder=5)
    axes.annotate(
        words,
        (number, percent),
        xytext=(-8 if leftwards else 8, 8),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        fontweight="bold",
    )
