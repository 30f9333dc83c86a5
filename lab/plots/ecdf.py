"""The share of cases that took no longer: measured as steps, foretold as curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from lab.plots.style import BLACK, SERIES, styled

_POINTS = 400


def draw_ecdf(
    samples: Mapping[str, Sequence[float]],
    formulas: Mapping[str, Callable[[float], float]] | None = None,
    *,
    title: str = "",
    of: str = "seconds",
) -> Figure:
    """Empirical distribution functions.

    Parameters
    ----------
    samples : mapping
        Label to values; NaN (it never happened) counts among the cases, so that its step stays below 1.
    formulas : mapping, optional
        Label to a distribution function. One with the label of a sample is drawn in its colour.
    title : str
        Above the picture.
    of : str
        What the values are, with their unit.
    """
    finite = [value for values in samples.values() for value in values if value == value]
    most = max(finite, default=1.0) * 1.06
    with styled():
        figure = Figure(figsize=(7.5, 4.0), layout="constrained")
        axes = figure.subplots()
        for (label, values), look in zip(samples.items(), SERIES * len(samples), strict=False):
            steps = sorted(value for value in values if value == value)
            shares = [100 * (number + 1) / len(values) for number in range(len(steps))]
            axes.step(
                [0.0, *steps, most],
                [0.0, *shares, shares[-1] if shares else 0.0],
                where="post",
                color=look.color,
                linestyle=look.line,
                linewidth=1.8,
                label=f"{label} ({len(values):,} cases)",
            )
        colors = {label: look.color for label, look in zip(samples, SERIES * len(samples), strict=False)}
        for label, share in (formulas or {}).items():
            points = [most * number / _POINTS for number in range(_POINTS + 1)]
            name = f"{label}, by formula" if label in samples else label
            axes.plot(
                points,
                [100 * share(point) for point in points],
                color=colors.get(label, BLACK),
                linestyle=(0, (1, 1.5)),
                linewidth=1.4,
                label=name,
            )
        axes.set_xlim(0, most)
        axes.set_ylim(0, 102)
        axes.set_xlabel(of)
        axes.set_ylabel("cases that took no longer (%)")
        axes.set_title(title)
        if axes.lines:
            figure.legend(loc="outside lower center", ncols=2)  # within, a curve may be anywhere
    return figure
