"""Simulation of calls without messages, where many hours are asked for: channels and policies alone.

The same pool of nodes counts the channels and the same policy object decides; a set-up takes the time that its
messages would, no packet is lost, and a call that a node takes is answered. The same topology and seed bring the
same calls as `sim.run` does, for each arrival and hold time is drawn from the same stream. Faults and forks, which
only messages can show, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from heapq import heappop, heappush
from random import Random
from typing import Any, Final

from engine.boundary import Effect, Flow, Note
from engine.nodes import Node, Pool
from engine.notes import AttemptEnded, AttemptStarted, CallAnswered, DecisionTaken
from engine.policy import Answer, Attempt, Call, Pause, Policy, Waiting
from engine.sip.message import Request
from sim.agents.notes import CallEnded, CallLost, CallPlaced, CallSetUp
from sim.agents.traffic import Load, call_id_of, streams_of
from sim.build import PolicyChoice, edge_config, policy_of
from sim.clients import load_of
from sim.random_streams import RandomStreams
from sim.trace import NoteListener, NoteRecord
from topologies import Topology

_FULL_RETRY_AFTER_S: Final = 300.0  # what a full FreeSWITCH says
_MS: Final = 1e-3


class CallsOnlyError(ValueError):
    """What was asked takes messages; the text says what, and what to do."""


def simulate_calls(
    topology: Topology,
    *,
    on_note: NoteListener,
    scenario: str | None = None,
    policy: PolicyChoice = None,
    seed: int = 0,
    duration_s: float | None = None,
) -> float:
    """Run a scenario's calls; returns when the last one was over, in seconds of virtual time.

    Parameters
    ----------
    topology
        What is simulated.
    on_note
        Told each fact, in the words of `sim.run`.
    scenario, policy, seed, duration_s
        As `sim.run.simulate`.

    Raises
    ------
    CallsOnlyError
        If the scenario has faults, or the policy does what takes messages.
    TopologyError, PolicyError
        As `sim.run.simulate`.
    """
    chosen = topology.scenario(scenario)
    if chosen.faults:
        raise CallsOnlyError(
            "faults are met by messages - simulate at the level of messages, or take the faults out"
        )
    world = _World(on_note)
    lasts_s = chosen.duration_s if duration_s is None else duration_s
    streams = RandomStreams(seed)
    edges = {name: _EdgeCalls(world, topology, name, policy, streams) for name in topology.edges}
    for client in topology.clients:
        random = streams.stream(f"{client} start 0")
        edge = edges[topology.entry(client)[0]]
        loads = [load_of(traffic, lasts_s) for traffic in chosen.traffic if traffic.source == client]
        for number, load in enumerate(loads):
            _Source(edge, topology, client, number, load, random).begin()
    world.run()
    return world.now


class _World:
    """Time, what is due, and who listens."""

    def __init__(self, on_note: NoteListener) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._on_note = on_note

    def at(self, time_s: float, do: Callable[..., None], *arguments: Any) -> None:
        self._number += 1
        heappush(self._due, (time_s, self._number, do, arguments))

    def tell(self, place: str, note: Note) -> None:
        self._on_note(NoteRecord(self.now, place, note))

    def run(self) -> None:
        due = self._due
        while due:
            self.now, _, do, arguments = heappop(due)
            do(*arguments)


class _EdgeCalls:
    """One edge: its pool, its policy, and how long the way to each node is."""

    def __init__(
        self, world: _World, topology: Topology, name: str, policy: PolicyChoice, streams: RandomStreams
    ) -> None:
        self.world = world
        self.name = name
        config = edge_config(topology, name)
        self.rng = streams.stream(f"{name} start 0")
        self.policy: Policy = policy_of(config.policy, policy)
        self.policy_name = type(self.policy).__name__
        self._out: list[Effect] = []
        passive = replace(config.passive, enabled=config.passive.enabled and self.policy.honours_health)
        flows = [(node, Flow("", (node.host, node.port))) for node in config.nodes]
        self.pool = Pool(flows, passive, config.probe, self._out, self.rng, lambda _node, _now: None)
        self.way_s = {node: topology.link(name, node).latency_ms * _MS for node in topology.served(name)}
        self.models = {node: topology.nodes[node].model for node in topology.served(name)}
        self.carried = dict.fromkeys(self.models, 0)

    def tell(self, note: Note) -> None:
        self.world.tell(self.name, note)
        for effect in self._out:
            if isinstance(effect, Note):
                self.world.tell(self.name, effect)
        self._out.clear()


class _Source:
    """A client's load: places its calls one after the other."""

    def __init__(
        self, edge: _EdgeCalls, topology: Topology, client: str, number: int, load: Load, random: Random
    ) -> None:
        self.edge = edge
        self.client = client
        self.load = load
        self.way_s = topology.link(client, edge.name).latency_ms * _MS
        described = topology.clients[client]
        entry = topology.entry(client)[1]
        self.flow = Flow(entry.name, (described.host, described.port))
        self.host = f"{entry.public_host}:{entry.public_port}"
        self._users = described.users.names
        self._index = number
        arrivals, self._hold_random, self._patience_random = streams_of(random)
        self._times = load.arrivals.times(arrivals)
        self._number = 0

    def begin(self) -> None:
        if self.load.calls is not None and self._number >= self.load.calls:
            return
        time_s = next(self._times, None)
        if time_s is not None and time_s < self.load.ends_s:
            self.edge.world.at(time_s, self._place)

    def _place(self) -> None:
        self._number += 1
        call_id = call_id_of(self._index, self._number, self.client)
        user = self._users[(self._number - 1) % len(self._users)]
        hold_s, patience_s = self.load.hold.draw(self._hold_random), self.load.patience.draw(self._patience_random)
        world = self.edge.world
        to = self.load.to[(self._number - 1) % len(self.load.to)]
        world.tell(self.client, CallPlaced(call_id, user, to))
        world.at(world.now + self.way_s, _OneCall(self, call_id, user, to, hold_s, patience_s).arrive)
        self.begin()


class _OneCall:
    """A call at its edge: what its policy stands on (`engine.policy.CallDriver`), and what becomes of it."""

    cancelled = False

    def __init__(
        self, source: _Source, call_id: str, user: str, to: str, hold_s: float, patience_s: float
    ) -> None:
        self.source = source
        self.edge = source.edge
        self.flow = source.flow
        self.placed_s = source.edge.world.now
        self.call_id = call_id
        self.user = user
        self.to = to
        self.hold_s = hold_s
        self.gives_up_s = self.placed_s + patience_s
        self.attempts = 0
        self.rejection: tuple[int, bytes] | None = None
        self.failure = 0
        uri = f"sip:{to}@{source.host}".encode()
        self.request = Request.build(
            b"INVITE",
            uri,
            b"Max-Forwards: 70",
            f"From: <sip:{user}@{source.host}>;tag=1".encode(),
            b"To: <" + uri + b">",
            b"Call-ID: " + call_id.encode(),
            b"CSeq: 1 INVITE",
        )
        self._coroutine: Coroutine[Waiting, Answer | None, None] | None = None

    # --- for the policy

    @property
    def now(self) -> float:
        return self.edge.world.now

    @property
    def pool(self) -> Pool:
        return self.edge.pool

    @property
    def rng(self) -> Random:
        return self.edge.rng

    def choose(
        self, group: str, resource: str, by: str, key: bytes, tried: set[str], ignore_health: bool
    ) -> Node | None:
        choice = self.edge.pool.choose(group, resource, by, key, tried, self.now, ignore_health=ignore_health)
        name = choice.node.name if choice.node is not None else ""
        self.edge.tell(
            DecisionTaken(
                self.call_id, self.edge.policy_name, group, resource, name, choice.why, choice.passed_over
            )
        )
        return choice.node

    def reject(self, status: int, reason: bytes, lines: tuple[bytes, ...]) -> None:
        self.rejection = (status, reason)

    # --- what happens

    def arrive(self) -> None:
        self._coroutine = self.edge.policy.invite(Call(self))
        self._go_on(None)

    def _go_on(self, answer: Answer | None) -> None:
        assert self._coroutine is not None
        try:
            waiting = self._coroutine.send(answer)
        except StopIteration:
            self._finish()
            return
        if isinstance(waiting, Pause):
            self._after(waiting.duration_s, Answer(200, ""))
        else:
            self._attempt(waiting)

    def _after(self, wait_s: float, answer: Answer) -> None:
        """The policy goes on then, or learns that the caller gave up meanwhile."""
        ends_s, cancel_s = self.now + wait_s, self.gives_up_s + self.source.way_s
        if cancel_s < ends_s:
            self.cancelled = True
            answer, ends_s = Answer(487, answer.node, cancelled=True), max(cancel_s, self.now)
        self.edge.world.at(ends_s, self._go_on, answer)

    def _attempt(self, attempt: Attempt) -> None:
        (node,) = attempt.targets if len(attempt.targets) == 1 else (None,)
        if not isinstance(node, Node):
            raise CallsOnlyError("the policy forks or sends to a URI - simulate at the level of messages")
        edge, model = self.edge, self.edge.models[node.name]
        self.attempts += 1
        node.take(attempt.resource)
        node.attempts += 1
        edge.tell(AttemptStarted(self.call_id, node.name, self.attempts))
        first_s = 2 * edge.way_s[node.name] + model.reply_delay_s
        if attempt.timeout_s is not None and attempt.timeout_s <= first_s:
            edge.world.at(self.now + attempt.timeout_s, self._failed, node, attempt, 408)
        elif edge.carried[node.name] >= model.max_sessions:
            edge.world.at(self.now + first_s, self._failed, node, attempt, 503)
        else:
            answered_s = self.now + first_s + model.ring_delay_s + model.answer_delay_s
            if answered_s + self.source.way_s > self.gives_up_s:
                edge.world.at(self.gives_up_s + self.source.way_s, self._failed, node, attempt, 487)
            else:
                edge.carried[node.name] += 1
                edge.world.at(answered_s, self._answered, node, attempt, self.now + first_s, first_s)

    def _failed(self, node: Node, attempt: Attempt, status: int) -> None:
        edge = self.edge
        node.give(attempt.resource)
        self.failure = status
        self.cancelled = status == 487
        if status == 408:
            node.failures += 1
            edge.pool.silent(node, self.now, "an attempt got no answer")
        elif status == 503:
            node.failures += 1
            edge.pool.closed(node, self.now, _FULL_RETRY_AFTER_S)
        edge.tell(AttemptEnded(self.call_id, node.name, self.attempts, status, f"answered {status}", 0.0))
        self._go_on(Answer(status, node.name, silent=status == 408, cancelled=self.cancelled))

    def _answered(self, node: Node, attempt: Attempt, heard_s: float, first_s: float) -> None:
        """The 2xx is at the edge; the caller has it a way later."""
        edge, source = self.edge, self.source
        edge.pool.answered(node, self.now, first_s)
        edge.tell(CallAnswered(self.call_id, "INVITE", node.name, 200, self.attempts, self.now - self.placed_s))
        rings = edge.models[node.name].ring_delay_s > 0
        setup_s = (heard_s + edge.models[node.name].ring_delay_s if rings else self.now) + source.way_s
        there_s = self.now + source.way_s
        edge.world.at(there_s, self._set_up, 180 if rings else 200, setup_s - self.placed_s)
        bye_done_s = there_s + self.hold_s + source.way_s + first_s
        edge.world.at(there_s + self.hold_s, self._ended)
        edge.world.at(bye_done_s, self._hung_up, node, attempt.resource)
        self._go_on(Answer(200, node.name))

    def _set_up(self, first_status: int, setup_s: float) -> None:
        note = CallSetUp(self.call_id, self.user, self.to, first_status, setup_s, self.now - self.placed_s, 0)
        self.edge.world.tell(self.source.client, note)

    def _hung_up(self, node: Node, resource: str) -> None:
        node.give(resource)
        self.edge.carried[node.name] -= 1

    def _ended(self) -> None:
        note = CallEnded(self.call_id, self.user, "hung up", "", self.now - self.placed_s)
        self.edge.world.tell(self.source.client, note)

    def _finish(self) -> None:
        """The policy has said all it had to say."""
        if self.failure == 0 and self.rejection is None and self.attempts and not self.cancelled:
            return  # answered
        self.edge.world.at(self.now + self.source.way_s, self._lost)

    def _lost(self) -> None:
        status, reason = self.rejection or ({503: 500}.get(self.failure, self.failure) or 500, b"")
        why = "refused"
        if self.cancelled:
            status, reason, why = 487, b"", "gave up"
        note = CallLost(
            self.call_id,
            self.user,
            self.to,
            status,
            reason.decode("utf-8", "replace"),
            why,
            self.now - self.placed_s,
            0,
        )
        self.edge.world.tell(self.source.client, note)
