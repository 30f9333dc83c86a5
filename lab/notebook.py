"""How things show themselves in Jupyter: a topology draws itself, a run shows its figures."""

from __future__ import annotations

import sys
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lab.report import Report
    from topologies import Topology

_WIDTH = 100  # characters


def enable() -> None:
    """Teach a running IPython to show topologies and figures; elsewhere nothing happens.

    By name, so that neither class is imported before it is used. What the lab itself defines needs no teaching.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return
    formatters: Any = shell.display_formatter.formatters
    formatters["image/png"].for_type_by_name("topologies.topology", "Topology", topology_png)
    formatters["image/png"].for_type_by_name("matplotlib.figure", "Figure", figure_png)


def topology_png(topology: Topology) -> bytes:
    """The topology as a graph."""
    from lab.plots.graph import draw_topology

    return figure_png(draw_topology(topology))


def figure_png(figure: Figure) -> bytes:
    """A picture as the octets of a PNG."""
    from lab.plots.style import as_png

    return as_png(figure)


def report_html(report: Report) -> str:
    """The figures of a run, as the command line prints them."""
    from rich.console import Console

    from lab.cli.tables import print_report

    console = Console(record=True, width=_WIDTH, file=StringIO(), force_jupyter=False)
    print_report(console, report)
    return console.export_html(
        inline_styles=True, code_format='<pre style="line-height:1.25;font-family:monospace">{code}</pre>'
    )
