"""One look for all pictures: Okabe and Ito's colours (safe for the colour-blind), and hatches for print in grey.

Figures are made without pyplot, which keeps global state and picks a display.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lab.outputs import ready_picture, refused

BLACK: Final = "#000000"
GREY: Final = "#8c8c8c"
PALE: Final = "#e6e6e6"
BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"

DPI: Final = 150


@dataclass(frozen=True, slots=True)
class Fill:
    """How an area is filled; the hatch tells it apart in grey."""

    color: str
    hatch: str = ""


NODE_STATES: Final[Mapping[str, Fill]] = {
    "active": Fill(GREEN),
    "suspect": Fill(YELLOW, "..."),
    "down": Fill(VERMILION, "////"),
    "returning": Fill(SKY, "...."),
    "draining": Fill(PURPLE, "\\\\\\\\"),
    "disabled": Fill(GREY, "xxxx"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a series is drawn; line and marker tell it apart in grey."""

    color: str
    line: Any
    marker: str


SERIES: Final = (
    Look(BLUE, "-", "o"),
    Look(VERMILION, (0, (5, 1.5)), "s"),
    Look(GREEN, (0, (5, 1.5, 1, 1.5)), "^"),
    Look(PURPLE, (0, (2, 1)), "D"),
    Look(ORANGE, (0, (8, 2)), "v"),
    Look(BLACK, (0, (3, 1, 1, 1, 1, 1)), "x"),
)
"""The looks of several series in one picture, in order."""

_RC: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.5,
    "legend.frameon": True,  # white, so that no line crosses its words
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.9,
    "legend.fontsize": 8,
    "svg.hashsalt": "siptwin",
}


def styled() -> AbstractContextManager[None]:
    """A context in which figures get this look; the user's own settings come back afterwards."""
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, **_RC, "backend": "agg"})


def save(figure: Figure, path: Path) -> Path:
    """Write a figure; the suffix of ``path`` says in which format.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    ready_picture(path)
    FigureCanvasAgg(figure)
    try:
        figure.savefig(path, dpi=DPI, facecolor="white")
    except OSError as error:
        raise refused(path, error) from None
    return path


def as_png(figure: Figure, dpi: int = 100) -> bytes:
    """A figure as the octets of a PNG, for a notebook."""
    FigureCanvasAgg(figure)
    data = BytesIO()
    figure.savefig(data, format="png", dpi=dpi, facecolor="white")
    return data.getvalue()
