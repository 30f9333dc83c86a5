"""Calls refused for want of a channel, against the load: simulated with confidence, and by Erlang's formula."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from lab.capacity.erlang import erlang_b
from lab.experiments.statistics import Interval
from lab.plots.style import SERIES, styled

_POINTS = 200


def draw_blocking(points: Sequence[tuple[float, int, Interval]], *, title: str = "") -> Figure:
    """Blocking against the traffic that is offered to each channel, a curve for each number of channels.

    Per channel, so that small and large pools stand beside each other.

    Parameters
    ----------
    points : sequence of (float, int, Interval)
        Erlang offered, channels, and the simulated share of calls refused.
    title : str
        Above the picture.
    """
    by_channels: dict[int, list[tuple[float, Interval]]] = {}
    for offered, channels, found in points:
        by_channels.setdefault(channels, []).append((offered / channels, found))
    loads = [load for found_at in by_channels.values() for load, _ in found_at]
    low, high = (0.8 * min(loads), 1.12 * max(loads)) if loads else (0.0, 1.0)
    along = [low + (high - low) * number / _POINTS for number in range(_POINTS + 1)]
    with styled():
        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for (channels, found_at), look in zip(by_channels.items(), SERIES * len(by_channels), strict=False):
            axes.plot(
                along,
                [100 * erlang_b(load * channels, channels) for load in along],
                color=look.color,
                linestyle=look.line,
                linewidth=1.3,
                label=f"{channels} channels, Erlang B",
            )
            axes.errorbar(
                [load for load, _ in found_at],
                [100 * found.mean for _, found in found_at],
                yerr=[100 * found.half_width for _, found in found_at],
                color=look.color,
                marker=look.marker,
                markersize=5,
                linestyle="",
                capsize=4,
                label=f"{channels} channels, simulated",
            )
        axes.set_xlabel("offered traffic per channel (Erlang)")
        axes.set_ylabel("calls refused (%)")
        axes.set_xlim(low, high)
        axes.set_ylim(bottom=0)
        axes.set_title(title)
        axes.legend(loc="upper left")
    return figure
