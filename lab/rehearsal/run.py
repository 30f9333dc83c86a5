"""Rehearse a topology: start its parts on real sockets, run a scenario in real time, let the last calls end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, TypeGuard

from engine.live.notes import MachineFailed
from engine.live.relay.certificate import new_certificate
from lab.asked import GivenTopology, check_run, topology_from
from lab.deployment import with_policy
from lab.errors import InputError
from lab.loops import run_apart
from lab.outcome import Outcome
from lab.rehearsal.addresses import onto_loopback
from lab.rehearsal.certificates import relay_certificates, with_certificates
from lab.rehearsal.stage import Stage
from lab.watch import CallWatch
from lab.wording import fault_words
from sim.build import parts
from sim.checkers import Checker, DialogBalance, KnownDown, SilentLogOuts, SlotBalance
from sim.faults import Fault, ProcessFault
from sim.part import AgentMedia
from sim.run import heedless_edges, kept_edges, policy_name, watched_clients
from sim.schedule import faults_of
from sim.trace import MessageListener, NoteListener, NoteRecord, Trace
from topologies import Topology
from topologies import faults as given
from topologies.scenarios import Scenario

if TYPE_CHECKING:
    from lab.report import Report

DRAIN_S: Final = 60.0
"""After the last new call, the calls that stand get so long to end."""

_LOOK_EVERY_S: Final = 0.1


class MachineFaults(Checker):
    """No machine may raise; the real host goes on when one does, and tells."""

    name: ClassVar[str] = "machine faults"

    def on_note(self, record: NoteRecord) -> None:
        """Watch for the host's word about a machine."""
        if isinstance(record.note, MachineFailed):
            self.violated(record.time_s, f"{record.place} raised on {record.note.on}: {record.note.error}")


def rehearse_topology(
    topology: Topology,
    *,
    scenario: str | None = None,
    policy: str | None = None,
    seed: int = 0,
    duration_s: float | None = None,
    drain_s: float = DRAIN_S,
    free_ports: bool = False,
    real: Collection[str] = (),
    kill_with: Mapping[str, str] = MappingProxyType({}),
    messages: bool = False,
    progress: Callable[[float], None] | None = None,
    on_message: MessageListener | None = None,
    on_note: NoteListener | None = None,
    warn: Callable[[str], None] | None = None,
) -> Outcome:
    """Run a scenario in real time.

    Parameters
    ----------
    topology : Topology
        What is rehearsed; addresses that are not loopback ones are moved.
    scenario, policy, seed, duration_s, progress, on_message, on_note
        As for `sim.run.simulate`. The seed fixes arrivals and hold times, not the moments of packets.
    drain_s : float
        How long the last calls get to end, at most.
    free_ports : bool
        Move all addresses to a free loopback network, so that several rehearsals run beside each other.
    real : collection of str
        Nodes that are there already, at their addresses: a real FreeSWITCH takes the model's place. No address is
        moved then.
    kill_with : mapping of str to str
        The shell's command that kills a real node, where the scenario's faults may; by the node's name.
    messages : bool
        Keep them all in the outcome.
    warn : callable, optional
        Told what is left out, in words.

    Raises
    ------
    TopologyError, PolicyError
        As `sim.run.simulate`.
    LiveError
        If an address is taken.
    InputError
        If the addresses cannot be moved, or ``real`` names what is no node, or ``kill_with`` what is not real.
    """
    if unreal := [name for name in kill_with if name not in real]:
        raise InputError(f"a command that kills {unreal[0]}, which is a model - give --real {unreal[0]} as well")
    if mute := [name for name, command in kill_with.items() if not command]:
        raise InputError(f"no command that kills {mute[0]} - write --kill-with {mute[0]}=COMMAND")
    if strange := [name for name in real if name not in topology.nodes]:
        raise InputError(f"{topology.name} has no node {strange[0]} - it has {', '.join(topology.nodes)}")
    began = perf_counter()
    chosen = topology.scenario(scenario)
    lasts_s = chosen.duration_s if duration_s is None else duration_s
    staged = with_policy(topology.without_middleboxes(), policy)
    if not real:
        staged = onto_loopback(staged, private=free_ports)
    certificates = relay_certificates(staged)
    fingerprints = {name: bytes(each.fingerprint).decode() for name, each in certificates.items()}
    agents = new_certificate()
    media = AgentMedia(certificate=agents.fingerprint)
    cast = [
        part
        for part in parts(staged, chosen, duration_s=lasts_s, fingerprints=fingerprints, media=media)
        if part.place not in real
    ]
    happening = chosen.model_copy(
        update={"faults": tuple(each for each in chosen.faults if _can_happen(topology, each, real))}
    )
    faults = [fault for fault in faults_of(staged, happening, cast) if fault.at_s < lasts_s]
    faults += [
        ProcessFault(at_s=each.at_s, kind="kill", targets=(each.target,))
        for each in chosen.faults
        if _is_kill(each, kill_with) and each.at_s < lasts_s
    ]
    if warn is not None:
        for what in _left_out(topology, chosen, lasts_s, real, kill_with):
            warn(what)
    trace = Trace("all" if messages else "notes")
    watch = CallWatch()
    checkers = _checkers(staged)
    for checker in checkers:
        trace.listen(checker.on_message, checker.on_note)
    trace.listen(watch.on_message, watch.on_note)
    trace.listen(on_message, on_note)
    with TemporaryDirectory(prefix="siptwin-") as folder:
        cast = with_certificates(cast, Path(folder))
        stage = Stage(cast, seed, trace, Path(folder), certificates, kill_with, agents=agents)
        end_s = run_apart(_perform(stage, faults, lasts_s, drain_s, checkers, progress))
    return Outcome(
        world="rehearsal",
        topology=staged,
        scenario=scenario or topology.default_scenario or "",
        fingerprint=topology.fingerprint(),
        policy=policy_name(staged),
        seed=seed,
        duration_s=lasts_s,
        end_s=end_s,
        wall_s=perf_counter() - began,
        notes=trace.notes,
        violations=sorted(violation for checker in checkers for violation in checker.violations),
        trace_hash=None,
        shown=watch.shown,
        messages=sorted(trace.messages, key=lambda message: message.order),
    )


def rehearse(
    topology: GivenTopology,
    *,
    scenario: str | None = None,
    policy: str | None = None,
    seed: int = 0,
    duration_s: float | None = None,
    messages: bool = False,
) -> Report:
    """Run a scenario on real sockets, at free loopback addresses, and report: `lab.simulate`'s other world.

    Parameters
    ----------
    topology : Topology, str or path
        A name or path is loaded.
    scenario, policy, seed, duration_s, messages
        As for `lab.simulate`; it takes as long as the scenario and its last calls.

    Raises
    ------
    TopologyError, PolicyError, LiveError, InputError
        If the topology, the scenario or the policy cannot be used, or no address is free.
    """
    from lab.report import report_on

    read = topology_from(topology)
    check_run(seed, duration_s)
    return report_on(
        rehearse_topology(
            read,
            scenario=scenario,
            policy=policy,
            seed=seed,
            duration_s=duration_s,
            free_ports=True,
            messages=messages,
        )
    )


def _is_kill(fault: given.Fault, kill_with: Collection[str]) -> TypeGuard[given.ProcessFault]:
    return isinstance(fault, given.ProcessFault) and fault.kind == "kill" and fault.target in kill_with


def _left_out(
    topology: Topology, scenario: Scenario, lasts_s: float, real: Collection[str], kill_with: Collection[str]
) -> Iterator[str]:
    """What a rehearsal cannot have, in words."""
    boxes = [*(f"NAT {name}" for name in topology.nats), *(f"balancer {name}" for name in topology.balancers)]
    if boxes:
        yield f"left out, since a real loopback has none: {', '.join(boxes)}; clients talk to the edges themselves"
    for fault in scenario.faults:
        happens = _can_happen(topology, fault, real) or _is_kill(fault, kill_with)
        if not happens and fault.at_s < lasts_s:
            lacks = "a real loopback has no links"
            if _is_on_database(topology, fault):
                lacks = "its database is a file"
            elif getattr(fault, "target", None) in real:
                lacks = "a real node is not ours to harm"
            yield f"left out, since {lacks}: {fault_words(fault)} at {fault.at_s:g} s"


def _is_on_database(topology: Topology, fault: given.Fault) -> bool:
    return getattr(fault, "target", None) in topology.databases


def _can_happen(topology: Topology, fault: given.Fault, real: Collection[str]) -> bool:
    """Whether it needs no links of its own, no boxes between them, no second network, no database's server, nor a
    model in a real node's place."""
    if _is_on_database(topology, fault) or getattr(fault, "target", None) in real:
        return False
    if isinstance(fault, given.Cut):
        return not fault.silent
    return not isinstance(fault, (given.Partition, given.Loss, given.Heal, given.Reboot, given.ChangeNetwork))


def _checkers(topology: Topology) -> list[Checker]:
    """Those of the simulation that need not wait for every timer to run out; and one of our own."""
    return [
        DialogBalance(topology.edges, kept_edges(topology)),
        SlotBalance(),
        KnownDown(heedless_edges(topology)),
        SilentLogOuts(watched_clients(topology)),
        MachineFaults(),
    ]


async def _perform(
    stage: Stage,
    faults: Sequence[Fault],
    lasts_s: float,
    drain_s: float,
    checkers: Sequence[Checker],
    progress: Callable[[float], None] | None,
) -> float:
    await stage.open()
    try:
        for fault in sorted(faults, key=lambda fault: fault.at_s):
            await _until(stage, fault.at_s, progress)
            await stage.apply(fault)
        await _until(stage, lasts_s, progress)
        stage.stop_calling()
        while not stage.idle and stage.now_s < lasts_s + drain_s:
            await _until(stage, stage.now_s + _LOOK_EVERY_S, progress)
        end_s = stage.now_s
        for checker in checkers:
            checker.finish(end_s, stage.edges())
    finally:
        stage.close()
    return end_s


async def _until(stage: Stage, time_s: float, progress: Callable[[float], None] | None) -> None:
    while (left_s := time_s - stage.now_s) > 0:
        await asyncio.sleep(min(left_s, _LOOK_EVERY_S) if progress else left_s)
        if progress:
            progress(stage.now_s)
