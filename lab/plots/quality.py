"""How well listeners could hear, second by second: a band of MOS, and who heard nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import InputError
from lab.plots.style import BLACK, BLUE, GREEN, GREY, SKY, VERMILION, Fill, styled
from lab.plots.timeline import Mark

SATISFIED: Final = 4.03
"""The MOS of R = 80, above which users are satisfied (ITU-T G.107 Annex B)."""
_MANY_DISSATISFIED: Final = 3.60  # of R = 70
_NEEDED: Final = ("began_s", "first_s", "last_s", "time_s", "mos")
_SILENT_AFTER_S: Final = 0.5
_SET_UP_S: Final = 1.25  # the far end may still ring
_ABOVE: Final[Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
_HEARING, _SILENCE = Fill(GREEN), Fill(VERMILION, "////")


def draw_quality(
    media: pd.DataFrame, *, marks: Sequence[Mark] = (), step_s: float = 0.5, title: str = ""
) -> Figure:
    """Above: median, and the middle 50 and 90 % of the MOS of those who listen. Below: how many hear, or do not.

    A row counts while its call stands: it is heard from ``first_s`` to ``last_s``, and not before or after.

    Parameters
    ----------
    media : DataFrame
        Rows of `lab.results.Frames.media`, of the listeners that are of interest.
    marks : sequence of Mark
        What happened, for lines across the picture (`lab.plots.timeline.marks_of`).
    step_s : float
        Between two points.
    title : str
        Above the picture.

    Raises
    ------
    InputError
        If there are no such rows: media are simulated where the scenario says ``media: streams``.
    """
    if not set(_NEEDED) <= set(media.columns) or media.empty:
        raise InputError("there are no media to draw - write `media: streams` into the scenario")
    times_s = np.arange(0.0, float(media["time_s"].max()) + step_s, step_s)
    bands, hearing, silent = [], [], []
    for at_s in times_s:
        stand = media[(media["began_s"] + _SET_UP_S <= at_s) & (media["time_s"] > at_s)]
        heard = stand[(stand["first_s"] <= at_s) & (stand["last_s"] + _SILENT_AFTER_S >= at_s)]
        hearing.append(len(heard))
        silent.append(len(stand) - len(heard))
        quantiles = heard["mos"].quantile([0.05, 0.25, 0.5, 0.75, 0.95]).tolist() if len(heard) else [np.nan] * 5
        bands.append(quantiles)
    with styled():
        figure = Figure(figsize=(9.5, 4.8), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _band(above, times_s, np.array(bands))
        above.set_title(title or "What listeners heard", pad=18 if marks else None)
        _counts(below, times_s, hearing, silent)
        for mark in marks:
            for axes in (above, below):
                axes.axvline(mark.at_s, color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=4)
            above.annotate(f"▼ {mark.text}", (mark.at_s, 1.0), xytext=(-3.3, 3), fontsize=8, **_ABOVE)
        below.set_xlim(0, times_s[-1])
    return figure


def _band(axes: Axes, times_s: np.ndarray, bands: np.ndarray) -> None:
    axes.fill_between(
        times_s, bands[:, 0], bands[:, 4], color=SKY, alpha=0.35, linewidth=0, label="90 % of listeners"
    )
    axes.fill_between(times_s, bands[:, 1], bands[:, 3], color=SKY, alpha=0.8, linewidth=0, label="half of them")
    axes.plot(times_s, bands[:, 2], color=BLUE, linewidth=1.8, label="median")
    for level, words in ((SATISFIED, "users satisfied"), (_MANY_DISSATISFIED, "many dissatisfied below")):
        axes.axhline(level, color=GREY, linewidth=1.0, linestyle=(0, (1, 1.5)))
        axes.annotate(
            words, (0.995, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8
        )
    axes.set_ylim(1.0, 4.6)
    axes.set_ylabel("MOS (G.107)")
    axes.legend(loc="lower left", ncols=3)


def _counts(axes: Axes, times_s: np.ndarray, hearing: Sequence[int], silent: Sequence[int]) -> None:
    top = [one + other for one, other in zip(hearing, silent, strict=True)]
    axes.fill_between(times_s, 0, hearing, step="post", color=_HEARING.color, linewidth=0, label="hear")
    axes.fill_between(
        times_s,
        hearing,
        top,
        step="post",
        facecolor=_SILENCE.color,
        hatch=_SILENCE.hatch,
        edgecolor="white",
        linewidth=0,
        label="hear silence",
    )
    axes.set_ylim(0, max([*top, 1]) * 1.25)
    axes.set_ylabel("listeners")
    axes.set_xlabel("time (s)")
    axes.legend(loc="upper left", ncols=2)
