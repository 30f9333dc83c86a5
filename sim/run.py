"""Simulate a topology: build its world, run a scenario, let the last calls end, ask the checkers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from engine.boundary import Drain, Machine
from engine.collector import seldom_collected
from engine.edge import Edge
from engine.policy import Policy
from sim.agents.browser import Browser
from sim.agents.player import Player
from sim.agents.softphone import Softphone
from sim.agents.traffic import Traffic
from sim.build import PolicyChoice, edge_config, parts, policy_of
from sim.build_boxes import place_middleboxes
from sim.checkers import (
    Checker,
    DialogBalance,
    FinalResponses,
    Inspectable,
    KnownDown,
    Lifetimes,
    MediaBalance,
    SilentLogOuts,
    SlotBalance,
    TransactionTimers,
    Violation,
)
from sim.host import Birth, Factory
from sim.links import Link
from sim.part import Part
from sim.recorded import Recorded
from sim.relays import rtpengine_part
from sim.schedule import faults_of
from sim.trace import MessageListener, MessageRecord, NoteListener, NoteRecord, Recording
from sim.world import World
from topologies import Topology
from topologies.scenarios import Scenario

DRAIN_S = 900.0
"""After the last new call, the calls that stand get so long to end (virtual time)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one simulation. Times are in seconds of virtual time but for ``wall_s``.

    ``notes`` and ``messages`` are empty where they were not recorded. ``drained`` tells whether all calls had
    ended at ``ended_s``.
    """

    topology: Topology
    scenario: str
    policy: str
    seed: int
    duration_s: float
    ended_s: float
    drained: bool
    wall_s: float
    trace_hash: str
    notes: list[NoteRecord]
    messages: list[MessageRecord]
    violations: list[Violation]


def simulate(
    topology: Topology,
    *,
    scenario: str | None = None,
    policy: PolicyChoice = None,
    seed: int = 0,
    record: Recording = "notes",
    duration_s: float | None = None,
    drain_s: float = DRAIN_S,
    progress: Callable[[float], None] | None = None,
    on_message: MessageListener | None = None,
    on_note: NoteListener | None = None,
    recorded: Recorded | None = None,
) -> Run:
    """Run a scenario in virtual time.

    Parameters
    ----------
    topology
        What is simulated (``topologies.load``).
    scenario
        Its name; default: the topology's default one.
    policy
        Instead of the edges' own: a name as in the topology, a class, or the policy itself (see `sim.build`).
    seed
        The same topology, policy and seed give the same run, event by event.
    record
        What is kept in memory: ``none``, ``notes``, or ``all`` (messages too).
    duration_s
        New calls begin for so long; default: the scenario's own duration. Later faults meet the last calls.
    drain_s
        How long the last calls get to end.
    progress
        Told the virtual time in seconds, each virtual second.
    on_message, on_note
        Told each message and note as it happens, for runs too long to be kept.
    recorded
        Agents that play their parts of a recording, besides the topology's clients.

    Returns
    -------
    Run
        Hash, notes, messages, violations.

    Raises
    ------
    TopologyError
        If there is no such scenario.
    PolicyError
        If a policy cannot be loaded.

    Examples
    --------
    >>> from topologies import load
    >>> run = simulate(load("seed"), scenario="quiet", duration_s=2)
    >>> run.violations
    []
    """
    began = time.perf_counter()
    chosen = topology.scenario(scenario)
    lasts_s = chosen.duration_s if duration_s is None else duration_s
    cast = parts(topology, chosen, policy, duration_s=lasts_s, recorded=recorded)
    world = world_of(topology, cast, chosen, policy, seed, record)
    world.trace.listen(on_message, on_note)
    with seldom_collected():
        world.run(lasts_s, progress)
        drained = _drain(world, topology, cast, drain_s, progress)
    violations = world.finish(_edges(world, cast))
    return Run(
        topology=topology,
        scenario=scenario or topology.default_scenario or "",
        policy=policy_name(topology, policy),
        seed=seed,
        duration_s=lasts_s,
        ended_s=world.now,
        drained=drained,
        wall_s=time.perf_counter() - began,
        trace_hash=world.trace.hash,
        notes=world.trace.notes,
        messages=world.trace.messages,
        violations=violations,
    )


def policy_name(topology: Topology, policy: PolicyChoice = None) -> str:
    """What routes, in words: the policy given, else the edges' own, each once."""
    if isinstance(policy, type):
        return policy.__name__
    if isinstance(policy, Policy):
        return type(policy).__name__
    return policy or ", ".join(dict.fromkeys(edge.policy.use for edge in topology.edges.values()))


def world_of(
    topology: Topology,
    cast: list[Part],
    scenario: Scenario,
    policy: PolicyChoice = None,
    seed: int = 0,
    record: Recording = "none",
) -> World:
    """The world of a topology and these parts of it, before it runs."""
    names = {part.place: part.name for part in cast}

    @cache
    def link(one: str, other: str) -> Link:
        quality = topology.link(one, other)
        return Link(
            latency_ms=quality.latency_ms,
            jitter_ms=quality.jitter_ms,
            loss=quality.loss,
            reorder=quality.reorder,
            duplicate=quality.duplicate,
        )

    def link_between(place: str, other: str) -> Link:
        # A sender may name an address that nobody has: such packets take the default link to nowhere.
        if place in names and other in names:
            return link(names[place], names[other])
        return Link()

    world = World(seed, links=link_between, record=record, checkers=_checkers(topology, scenario, policy))
    for name, database in topology.databases.items():
        world.add_database(name, database.model.latency_ms / 1000, database.model.jitter_ms / 1000)
    for part in cast:
        world.add(part.place, _factory(world, part), part.interfaces, part.store)
    _look_at_media(topology, scenario, world)
    place_middleboxes(topology, cast, world)
    world.schedule(faults_of(topology, scenario, cast))
    return world


def _look_at_media(topology: Topology, scenario: Scenario, world: World) -> None:
    mode = topology.media_mode(scenario)
    if mode == "none":
        return
    media = world.look_at_media(one_by_one=mode == "packets")
    for name in topology.edges:
        relay = edge_config(topology, name).relay
        if relay is not None and relay.rtpengine is None:
            media.add_relay(name, relay)
    for name in topology.rtpengines:
        part = rtpengine_part(topology, name)
        if part.relay is not None:
            media.add_relay(name, part.relay)


def _factory(world: World, part: Part) -> Factory:
    """Each start of each process has a random stream of its own."""

    def make(birth: Birth) -> Machine:
        return part.make(birth, world.streams.stream(f"{part.place} start {birth.number}"))

    return make


def heedless_edges(topology: Topology, policy: PolicyChoice = None) -> list[str]:
    """The edges whose policy sends calls to nodes known to be down, which ``KnownDown`` then allows."""
    return [name for name, edge in topology.edges.items() if not policy_of(edge.policy, policy).honours_health]


def kept_edges(topology: Topology) -> list[str]:
    """The edges whose dialogs outlive them, as ``DialogBalance`` asks."""
    return [name for name, edge in topology.edges.items() if edge.store.database is not None]


def watched_clients(topology: Topology) -> list[str]:
    """The clients that nothing on the way to the edge may forget, as ``SilentLogOuts`` asks."""
    return [name for name, client in topology.clients.items() if not client.behind and client.balancer is None]


def _checkers(topology: Topology, scenario: Scenario, policy: PolicyChoice) -> list[Checker]:
    configs = {name: edge_config(topology, name) for name in topology.edges}
    lifetimes = {name: Lifetimes.of(config.timers) for name, config in configs.items()}
    heedless = heedless_edges(topology, policy)
    return [
        FinalResponses(lifetimes),
        TransactionTimers(lifetimes),
        DialogBalance(configs, kept_edges(topology)),
        SlotBalance(),
        KnownDown(heedless),
        SilentLogOuts(watched_clients(topology)),
        *([MediaBalance(configs)] if topology.media_mode(scenario) != "none" else []),
    ]


def _edges(world: World, cast: list[Part]) -> dict[str, Inspectable]:
    """The edges that can be asked: neither dead nor frozen."""
    hosts = [world.hosts[part.place] for part in cast if part.role == "edge"]
    return {host.place: host.machine for host in hosts if isinstance(host.machine, Edge) and not host.frozen}


def _drain(
    world: World, topology: Topology, cast: list[Part], at_most_s: float, progress: Callable[[float], None] | None
) -> bool:
    """Let the callers hang up, then the edges' timers run out; whether nothing was left to wait for."""
    clients = [world.hosts[part.place] for part in cast if part.role == "client"]
    for host in clients:
        host.receive(Drain())

    def callers_done() -> bool:
        machines = [host.machine for host in clients]
        agents = [machine for machine in machines if isinstance(machine, (Traffic, Softphone, Browser))]
        players = [machine for machine in machines if isinstance(machine, Player)]
        return not any(agent.phones.calls or agent.phones.transactions for agent in agents) and not any(
            player.busy for player in players
        )

    def edges_done() -> bool:
        return not any(edge.open_dialogs() or edge.open_attempts() for edge in _edges(world, cast).values())

    began_s = world.now
    done = world.drain(callers_done, at_most_s, progress)
    settle_s = max(Lifetimes.of(topology.edge_config(name).timers).request_s for name in topology.edges)
    world.run(world.now + settle_s, progress)
    return world.drain(edges_done, max(began_s + at_most_s - world.now, 0.0), progress) and done
