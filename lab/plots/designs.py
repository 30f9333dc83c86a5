"""Who can be called in which design, and what a node's death adds."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from lab.plots.style import styled


def draw_designs(compared: pd.DataFrame) -> Figure:
    """Two fields of cells, a design a row and a kind of client a column: before the death, and cut off by it.

    Parameters
    ----------
    compared : DataFrame
        What `lab.designs.compare_designs` brings.
    """
    rows = compared.assign(name=compared.design + "  " + compared.what)
    panels = (
        ("reached_before", "Calls that reach the agent while all nodes live"),
        ("cut_off", "Agents that a node's death cuts off until they log in anew"),
    )
    with styled():
        figure = Figure(figsize=(9.5, 5.2), layout="constrained")
        for axes, (column, title) in zip(figure.subplots(2, 1, sharex=True), panels, strict=True):
            table = rows.pivot_table(index="name", columns="client", values=column, sort=False, dropna=False)
            axes.grid(visible=False)
            axes.imshow(table.to_numpy(dtype=float), cmap="cividis_r", vmin=0, vmax=1, aspect="auto")
            for y, cells in enumerate(table.to_numpy(dtype=float)):
                for x, share in enumerate(cells):
                    text = "never\nreached" if share != share else f"{share:.0%}"
                    axes.text(x, y, text, ha="center", va="center", color=_ink(share), fontsize=8)
            axes.set_yticks(range(len(table.index)), list(table.index))
            names = [str(name).replace("_", "\n") for name in table.columns]
            axes.set_xticks(range(len(table.columns)), names)
            axes.set_title(title)
        return figure


def _ink(share: float) -> str:
    return "white" if share > 0.6 else "black"
