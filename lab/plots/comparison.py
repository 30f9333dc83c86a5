"""What each policy changes against another one, with confidence: paired, for both met the same calls."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lab.plots.style import BLACK, BLUE, GREY, VERMILION, styled

_ROW_IN = 0.42
_NOT_FACTORS = ("n", "mean", "half_width", "low", "high")


def draw_comparison(
    compared: pd.DataFrame, *, of: str, baseline: str, lower_is_better: bool = True, title: str = ""
) -> Figure:
    """Paired differences, a row each; blue is better than the baseline, vermilion worse, grey not told apart.

    Parameters
    ----------
    compared : DataFrame
        As `Results.compare` brings it.
    of : str
        The figure that was compared, with its unit.
    baseline : str
        What the others were compared with.
    lower_is_better : bool
        Whether less of the figure is better.
    title : str
        Above the picture.
    """
    rows: list[dict[str, Any]] = compared.to_dict("records")  # type: ignore[assignment]  # keys are columns' names
    names = [name for name in compared.columns if name not in _NOT_FACTORS]
    labels = [", ".join(_shown(name, row[name]) for name in names) for row in rows]
    with styled():
        figure = Figure(figsize=(8.0, 1.5 + _ROW_IN * len(rows)), layout="constrained")
        axes = figure.subplots()
        for number, row in enumerate(rows):
            verdict = _verdict(row, lower_is_better=lower_is_better)
            color, marker = {"better": (BLUE, "o"), "worse": (VERMILION, "s")}.get(verdict, (GREY, "D"))
            axes.errorbar(
                row["mean"], number, xerr=row["half_width"], color=color, marker=marker, markersize=6, capsize=4
            )
            axes.annotate(
                f"{row['mean']:+.3g}, {verdict}",
                (row["mean"], number),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )
        axes.axvline(0, color=BLACK, linewidth=1.0, linestyle=(0, (4, 2)))
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.4, -0.7)
        axes.margins(x=0.12)
        axes.set_xlabel(f"{of}, difference from {baseline} (95 % confidence)")
        axes.set_title(title)
    return figure


def _shown(name: str, value: Any) -> str:
    return value if isinstance(value, str) else f"{name} {value}"


def _verdict(row: dict[str, Any], *, lower_is_better: bool) -> str:
    if row["low"] > 0:
        return "worse" if lower_is_better else "better"
    if row["high"] < 0:
        return "better" if lower_is_better else "worse"
    return "no difference seen"
