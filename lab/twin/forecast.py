"""A scenario simulated, and rehearsed on real sockets: the forecast against the measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.rehearsal import rehearse_topology
from lab.report import Report, report_on
from lab.simulation import run_simulation
from lab.twin.comparison import Comparison, Step, compare, steps_of_messages
from topologies import Topology, load


@dataclass(frozen=True, slots=True)
class Forecast:
    """Both runs, and how they compare message by message."""

    simulated: Report
    rehearsed: Report
    comparison: Comparison


def rehearse_and_compare(
    topology: Topology | str,
    *,
    scenario: str | None = None,
    policy: str | None = None,
    seed: int = 0,
    duration_s: float | None = None,
    progress: Callable[[float], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Forecast:
    """Simulate a scenario, rehearse it on free loopback addresses, and compare.

    The seed fixes who calls when in both worlds; the moments of packets and the phases of probes are the real
    world's own.

    Parameters
    ----------
    topology, scenario, policy, seed, duration_s, progress, warn
        As for a rehearsal, which takes as long as the scenario and its last calls.

    Raises
    ------
    TopologyError, PolicyError, LiveError, InputError
        As the two runs do.
    """
    read = load(topology) if isinstance(topology, str) else topology
    # What a rehearsal cannot have, the forecast is to go without, too.
    simulated = run_simulation(
        read.without_middleboxes(),
        scenario=scenario,
        policy=policy,
        seed=seed,
        duration_s=duration_s,
        messages=True,
    )
    rehearsed = rehearse_topology(
        read,
        scenario=scenario,
        policy=policy,
        seed=seed,
        duration_s=duration_s,
        free_ports=True,
        progress=progress,
        messages=True,
        warn=warn,
    )
    forecast = _from_first(steps_of_messages(simulated.messages, fates=False))
    measured = _from_first(steps_of_messages(rehearsed.messages, fates=False))
    comparison = compare(forecast, measured, ("simulation", "rehearsal"))
    return Forecast(report_on(simulated), report_on(rehearsed), comparison)


def _from_first(steps: Sequence[Step]) -> list[Step]:
    """Times from the first message on: real sockets take a while to open, which is no part of the story."""
    began_s = min((step.time_s for step in steps), default=0.0)
    return [step._replace(time_s=step.time_s - began_s) for step in steps]
