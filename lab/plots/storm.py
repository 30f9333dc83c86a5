"""A storm: how many come back each second after something died, and what the survivor can take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor

from matplotlib.figure import Figure

from lab.plots.style import BLACK, SERIES, styled

_BINS = 120
_WIDTHS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


def draw_storm(
    times_s: Mapping[str, Sequence[float]],
    *,
    began_s: float = 0.0,
    limit_per_s: float | None = None,
    title: str = "",
    of: str = "registrations per second",
) -> Figure:
    """Arrivals per second and their sum, for one or several remedies.

    Parameters
    ----------
    times_s : mapping
        Label to the moments at which somebody came.
    began_s : float
        When it began; the axis counts from there.
    limit_per_s : float, optional
        What can be served, drawn as a line.
    title : str
        Above the picture.
    of : str
        What is counted.
    """
    after = {
        label: sorted(time - began_s for time in times if time >= began_s) for label, times in times_s.items()
    }
    end_s = max((times[-1] for times in after.values() if times), default=1.0)
    width_s = next((width for width in _WIDTHS_S if end_s / width <= _BINS), end_s / _BINS)
    bins = floor(end_s / width_s) + 1
    with styled():
        figure = Figure(figsize=(8.0, 5.0), layout="constrained")
        rates, sums = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for (label, times), look in zip(after.items(), SERIES * len(after), strict=False):
            counts = [0] * bins
            for time in times:
                counts[min(int(time / width_s), bins - 1)] += 1
            starts = [number * width_s for number in range(bins + 1)]
            heights = [count / width_s for count in counts]
            rates.stairs(heights, starts, color=look.color, linestyle=look.line, linewidth=1.8, label=label)
            back = [100 * (number + 1) / len(times) for number in range(len(times))]
            steps = ([0.0, *times, bins * width_s], [0.0, *back, back[-1] if back else 0.0])
            sums.step(*steps, where="post", color=look.color, linestyle=look.line, linewidth=1.8)
        if limit_per_s is not None:
            rates.axhline(limit_per_s, color=BLACK, linewidth=1.2, linestyle=(0, (1, 1.5)), label="can be served")
        rates.axhline(0, color=BLACK, linewidth=0.8)
        rates.set_ylim(bottom=0)
        rates.set_ylabel(of)
        rates.set_title(title)
        rates.legend(loc="upper right")
        sums.set_ylim(0, 104)
        sums.set_ylabel("are back (%)")
        sums.set_xlabel("seconds after it began")
        sums.set_xlim(0, bins * width_s)
    return figure
