"""Who can be called in which design, and what a node's death adds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.style import styled

_SHARES = (
    ("reached_before", "Calls that reach the agent while all nodes live"),
    ("cut_off", "Agents that a node's death cuts off until they log in anew"),
)


def draw_designs(compared: pd.DataFrame) -> Figure:
    """A design a row: who is reached and who is cut off, by kind of client; calls lost and time unreachable.

    Parameters
    ----------
    compared : DataFrame
        What `lab.designs.compare_designs` brings.
    """
    rows = compared.assign(name=compared.design.str.replace("_", " "))
    by_design = rows.groupby("name", sort=False)
    with styled():
        figure = Figure(figsize=(9.5, 6.8), layout="constrained")
        panels = figure.subplot_mosaic(
            [["reached_before"] * 2, ["cut_off"] * 2, ["lost", "away"]], height_ratios=[4, 4, 2.6]
        )
        for column, title in _SHARES:
            table = rows.pivot_table(index="name", columns="client", values=column, sort=False, dropna=False)
            _draw_shares(panels[column], table, title)
        panels["reached_before"].set_xticklabels([])
        _draw_bars(panels["lost"], by_design.calls_lost.sum(), "Calls lost", "{:,.0f}")
        longest_s = by_design.unreachable_s.max()
        _draw_bars(
            panels["away"], longest_s, "Unreachable after the death, at the longest", "{:.0f} s", named=False
        )
        return figure


def _draw_shares(axes: Axes, table: pd.DataFrame, title: str) -> None:
    """A field of cells, from light (none) to dark (all)."""
    axes.grid(visible=False)
    axes.imshow(table.to_numpy(dtype=float), cmap="cividis_r", vmin=0, vmax=1, aspect="auto")
    for y, cells in enumerate(table.to_numpy(dtype=float)):
        for x, share in enumerate(cells):
            text = "never\nreached" if share != share else f"{share:.0%}"
            ink = "white" if share > 0.6 else "black"
            axes.text(x, y, text, ha="center", va="center", color=ink, fontsize=8)
    axes.set_yticks(range(len(table.index)), list(table.index))
    axes.set_xticks(range(len(table.columns)), [str(name).replace("_", "\n") for name in table.columns])
    axes.set_title(title)


def _draw_bars(axes: Axes, values: pd.Series[float], title: str, form: str, *, named: bool = True) -> None:
    """A bar a design, with its value behind it."""
    axes.grid(visible=False)
    bars = axes.barh(range(len(values)), values.to_numpy(dtype=float), color="#00224d", height=0.6)
    axes.bar_label(bars, [form.format(value) for value in values], padding=4, fontsize=8)
    axes.set_yticks(range(len(values)), list(values.index) if named else [""] * len(values))
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(x=0.15)
    axes.spines["bottom"].set_visible(False)
    axes.set_title(title)
