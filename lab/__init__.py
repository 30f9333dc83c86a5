"""The lab: ask questions of a topology, in a notebook or a script.

    import lab

    lab.simulate("seed")                                          # one run, as a report
    lab.Experiment("seed").vary(policy=["least_loaded", "seed"]).run(replications=20)

Names are imported when they are first used, so that ``import lab`` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from lab.notebook import enable

if TYPE_CHECKING:
    from lab import capacity, plots
    from lab.doctor import examine
    from lab.errors import InputError
    from lab.experiments import Experiment, Results, interval
    from lab.experiments import load as load_results
    from lab.rehearsal import rehearse
    from lab.simulation import simulate
    from lab.twin import rehearse_and_compare, replay
    from topologies import Topology, load

_HOMES: Final = {
    "Experiment": ("lab.experiments", "Experiment"),
    "InputError": ("lab.errors", "InputError"),
    "Results": ("lab.experiments", "Results"),
    "Topology": ("topologies", "Topology"),
    "examine": ("lab.doctor", "examine"),
    "interval": ("lab.experiments", "interval"),
    "load": ("topologies", "load"),
    "rehearse": ("lab.rehearsal", "rehearse"),
    "rehearse_and_compare": ("lab.twin", "rehearse_and_compare"),
    "replay": ("lab.twin", "replay"),
    "load_results": ("lab.experiments", "load"),
    "simulate": ("lab.simulation", "simulate"),
}
_ROOMS: Final = ("capacity", "plots")

__all__ = [
    "Experiment",
    "InputError",
    "Results",
    "Topology",
    "capacity",
    "examine",
    "interval",
    "load",
    "load_results",
    "plots",
    "rehearse",
    "rehearse_and_compare",
    "replay",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"lab.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'lab' has no {name!r}; it has {', '.join(__all__)}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)  # what Tab offers: no helpers of this module's


enable()
