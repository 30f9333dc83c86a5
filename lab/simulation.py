"""One simulation, with what its report needs."""

from __future__ import annotations

from collections.abc import Callable

from lab.deployment import with_policy
from lab.outcome import Outcome
from lab.watch import CallWatch
from sim.run import simulate
from sim.trace import NoteListener, NoteRecord
from topologies import Topology


def run_simulation(
    topology: Topology,
    *,
    scenario: str | None = None,
    policy: str | None = None,
    seed: int = 0,
    duration_s: float | None = None,
    progress: Callable[[float], None] | None = None,
    on_note: NoteListener | None = None,
) -> Outcome:
    """Simulate a scenario; see `sim.run.simulate` for the parameters and errors.

    Examples
    --------
    >>> from topologies import load
    >>> run_simulation(load("single"), duration_s=5).violations
    []
    """
    watch = CallWatch()

    def listen(record: NoteRecord) -> None:
        watch.on_note(record)
        if on_note is not None:
            on_note(record)

    run = simulate(
        with_policy(topology, policy),
        scenario=scenario,
        seed=seed,
        record="notes",
        duration_s=duration_s,
        progress=progress,
        on_message=watch.on_message,
        on_note=listen,
    )
    return Outcome(
        world="simulation",
        topology=topology,
        scenario=run.scenario,
        fingerprint=topology.fingerprint(),
        policy=run.policy,
        seed=seed,
        duration_s=run.duration_s,
        end_s=run.ended_s,
        wall_s=run.wall_s,
        notes=run.notes,
        violations=run.violations,
        trace_hash=run.trace_hash,
        shown=watch.shown,
    )
