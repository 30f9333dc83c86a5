"""A figure over two factors, as a field of cells that say their value."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lab.errors import InputError
from lab.plots.style import styled
from topologies.errors import did_you_mean

_CELL_IN = (0.95, 0.55)
_TITLE_IN = 2.2  # of the width: what the axis and the scale take beside the title
_LETTER_IN = 0.085


def draw_heat_map(
    frame: pd.DataFrame,
    rows: str,
    columns: str,
    value: str = "mean",
    *,
    of: str = "",
    form: str = "{:.3g}",
    title: str = "",
    down: str = "",
    across: str = "",
) -> Figure:
    """A cell for each pair of levels, from light (least) to dark (most).

    Parameters
    ----------
    frame : DataFrame
        One row a cell, for example what `Results.estimate` brings.
    rows, columns : str
        The two factors.
    value : str
        The column that is shown.
    of : str
        What the value is, with its unit.
    form : str
        How a value is written.
    title : str
        Above the picture.
    down, across : str
        What rows and columns are, with their unit; default: the columns' names.

    Raises
    ------
    InputError
        If there is no such column, or a pair of levels comes twice.
    """
    for name in (rows, columns, value):
        if name not in frame.columns:
            raise InputError(f"there is no column {name!r} - {did_you_mean(name, map(str, frame.columns))}")
    if frame.duplicated([rows, columns]).any():
        raise InputError(f"several rows have one {rows} and {columns} - keep one level of the other factors")
    table = frame.pivot_table(index=rows, columns=columns, values=value, sort=False, dropna=False)
    with styled():
        size_in = (1.9 + _CELL_IN[0] * len(table.columns), 1.3 + _CELL_IN[1] * len(table.index))
        figure = Figure(figsize=(max(size_in[0], _TITLE_IN + _LETTER_IN * len(title)), size_in[1]))
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        axes.grid(visible=False)
        image = axes.imshow(table.to_numpy(dtype=float), cmap="cividis_r", aspect="auto")
        low, high = image.get_clim()
        for row, cells in enumerate(table.to_numpy(dtype=float)):
            for column, cell in enumerate(cells):
                dark = high > low and (cell - low) / (high - low) > 0.55
                text = "-" if cell != cell else form.format(cell)
                axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(len(table.columns)), [_level(each).replace(" ", "\n") for each in table.columns])
        axes.set_yticks(range(len(table.index)), [_level(each) for each in table.index])
        axes.set_xlabel(across or columns)
        axes.set_ylabel(down or rows)
        axes.set_title(title)
        axes.spines[:].set_visible(False)
        figure.colorbar(image, label=of or value, shrink=0.9, format=PercentFormatter(1) if "%" in form else None)
    return figure


def _level(value: Any) -> str:
    """A factor's level as words: ``port restricted``, ``0.5``, ``30``."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
