"""Experiments: a topology, what is varied, replications; results as data frames with confidence intervals.

Names are imported when they are first used: a worker process needs none of the data frames.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lab.experiments.experiment import Experiment
    from lab.experiments.results import Results, load
    from lab.experiments.statistics import Interval, interval

_HOMES: Final = {
    "Experiment": "experiment",
    "Interval": "statistics",
    "Results": "results",
    "interval": "statistics",
    "load": "results",
}

__all__ = ["Experiment", "Interval", "Results", "interval", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lab.experiments' has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"lab.experiments.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
