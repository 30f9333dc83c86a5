"""One simulation, with what its report needs."""

from __future__ import annotations

from collections.abc import Callable

from lab.asked import GivenTopology, check_policy, check_run, topology_from
from lab.deployment import with_policy
from lab.outcome import Outcome
from lab.report import Report, report_on
from lab.watch import CallWatch
from sim import run as simulation
from sim.build import PolicyChoice
from sim.recorded import Recorded
from sim.trace import NoteListener, NoteRecord
from topologies import Topology


def run_simulation(
    topology: Topology,
    *,
    scenario: str | None = None,
    policy: PolicyChoice = None,
    seed: int = 0,
    duration_s: float | None = None,
    messages: bool = False,
    progress: Callable[[float], None] | None = None,
    on_note: NoteListener | None = None,
    recorded: Recorded | None = None,
) -> Outcome:
    """Simulate a scenario; see `sim.run.simulate` for the parameters and errors.

    With ``messages`` those of all calls are kept, not of the one alone that is worth showing.

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

    named = policy if isinstance(policy, str) else None
    run = simulation.simulate(
        with_policy(topology, named),
        scenario=scenario,
        policy=None if named else policy,
        seed=seed,
        record="all" if messages else "notes",
        duration_s=duration_s,
        progress=progress,
        on_message=watch.on_message,
        on_note=listen,
        recorded=recorded,
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
        messages=run.messages,
    )


def simulate(
    topology: GivenTopology,
    *,
    scenario: str | None = None,
    policy: PolicyChoice = None,
    seed: int = 0,
    duration_s: float | None = None,
    messages: bool = False,
) -> Report:
    """Simulate a scenario once, and report.

    Parameters
    ----------
    topology : Topology, str or path
        A name or path is loaded.
    scenario : str, optional
        Default: the topology's own.
    policy : str, class or object, optional
        Of all edges, instead of the topology's.
    seed : int
        The same one brings the same run, packet by packet.
    duration_s : float, optional
        New calls come for so long; default: the scenario's.
    messages : bool
        Keep all messages, so that `Report.call` can show any call.

    Raises
    ------
    TopologyError, InputError
        If the topology, the scenario, the policy or a figure cannot be used.

    Examples
    --------
    >>> simulate("single", duration_s=5).sound
    True
    """
    read = topology_from(topology)
    check_run(seed, duration_s)
    check_policy(read, policy)
    outcome = run_simulation(
        read, scenario=scenario, policy=policy, seed=seed, duration_s=duration_s, messages=messages
    )
    return report_on(outcome)
