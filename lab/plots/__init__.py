"""Pictures of runs and experiments, in one style that survives print and colour-blindness.

Each function brings a matplotlib figure, which a notebook shows and `save` writes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lab.plots.blocking import draw_blocking
    from lab.plots.comparison import draw_comparison
    from lab.plots.designs import draw_designs
    from lab.plots.ecdf import draw_ecdf
    from lab.plots.graph import draw_topology, ways_of
    from lab.plots.heat import draw_heat_map
    from lab.plots.ladder import draw_ladder
    from lab.plots.plan import draw_plan
    from lab.plots.quality import draw_quality
    from lab.plots.storm import draw_storm
    from lab.plots.style import save
    from lab.plots.timeline import draw_timeline
    from lab.plots.twin import draw_comparison_in_time

_HOMES: Final = {
    "draw_blocking": "blocking",
    "draw_comparison": "comparison",
    "draw_comparison_in_time": "twin",
    "draw_designs": "designs",
    "draw_ecdf": "ecdf",
    "draw_heat_map": "heat",
    "draw_ladder": "ladder",
    "draw_plan": "plan",
    "draw_quality": "quality",
    "draw_storm": "storm",
    "draw_timeline": "timeline",
    "draw_topology": "graph",
    "save": "style",
    "ways_of": "graph",
}

__all__ = [
    "draw_blocking",
    "draw_comparison",
    "draw_comparison_in_time",
    "draw_designs",
    "draw_ecdf",
    "draw_heat_map",
    "draw_ladder",
    "draw_plan",
    "draw_quality",
    "draw_storm",
    "draw_timeline",
    "draw_topology",
    "save",
    "ways_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lab.plots' has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"lab.plots.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
