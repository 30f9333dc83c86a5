"""The edge: one machine made of transactions, proxy, nodes, dialogs and a policy. Dispatch, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from engine import snapshots
from engine.boundary import (
    CallOrder,
    Committed,
    Datagram,
    Drain,
    Effect,
    Flow,
    Input,
    Level,
    Loaded,
    NodeOrder,
    Pong,
    Reconfigure,
    RegistrationOrder,
    Send,
    StreamClosed,
    StreamData,
    StreamOpened,
    Unreachable,
)
from engine.changes import changes
from engine.config import EdgeConfig, NodeConfig, PassiveConfig
from engine.dialogs import DialogTable
from engine.events import NodeEvents
from engine.here import Here
from engine.keepalive import KEEP_ALIVE_BRANCH, KeepAlive
from engine.media.builtin import BuiltinRelay
from engine.media.ng.relay import NgRelay
from engine.media.relay import Relay
from engine.media.rules import DtlsEnded, MediaPacket, MediaStats, PortsFailed
from engine.nodes import Node, NodeSnapshot, Pool
from engine.nodes import state as node_state
from engine.nodes.probes import Prober
from engine.notes import MessageDropped, Overloaded, Reconfigured, RequestRefused, StunDropped
from engine.peers import Peers
from engine.policy import Policy
from engine.proxy.admission import Admission
from engine.proxy.core import ProxyCore
from engine.proxy.endings import Endings
from engine.proxy.forward import note_source
from engine.proxy.legs import Legs
from engine.proxy.placing import place
from engine.proxy.renewal import Renewals, Surroundings
from engine.records import Records
from engine.records.memory import Memory
from engine.registrar import Binding, Registrar
from engine.rescue import Ground, Rescue, Ways, bridge_of
from engine.sip.errors import SipError
from engine.sip.framing import BoundaryLostError, parse_datagram
from engine.sip.message import Request, Response, respond
from engine.sip.transactions import TransactionLayer
from engine.sip.validate import validate_request, validate_response
from engine.snapshots import CallSnapshot, RegistrationSnapshot
from engine.streams import Streams
from engine.stun import LAST_FIRST_OCTET, StunError, is_stun, stun_answer
from engine.tally import Tally
from engine.timers import TimerQueue
from engine.wheel import Wheel

_OF_STREAMS: Final = (StreamData, StreamOpened, StreamClosed, Unreachable)


class EdgeSettings(NamedTuple):
    """What an edge is built from and can be given anew: its settings and the policy object that routes."""

    config: EdgeConfig
    policy: Policy


class Edge:
    """One edge.

    ``rng`` is its only source of randomness: seeded in simulation, the system's own in production. Notes below
    the level ``notes_from`` are not made, for a host that has no use for them. ``wall_offset_s`` is what the wall
    clock is ahead of ``now``: records are dated by it, for each life has a ``now`` of its own.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        rng: random.Random,
        notes_from: Level = Level.DEBUG,
        wall_offset_s: float = 0.0,
    ) -> None:
        config, policy = settings
        self.config = config
        self._out: list[Effect] = []
        self._timers = TimerQueue()
        self._here = Here(config.interfaces, config.domains)
        self._pool = Pool(
            self._node_flows(config), _passive(settings), config.probe, self._out, rng, self._node_changed
        )
        self._records = records = Records(config, self._out, wall_offset_s)
        self._dialogs = DialogTable(self._out, self._timers, records, config.dialog_lifetime_s)
        wheel = Wheel(self._timers)
        self._tally = Tally(self._timers, self._out)
        self._registrar = registrar = Registrar(config, self._here, self._out, wheel, records, rng)
        self._core = ProxyCore(
            config, policy, self._here, self._pool, registrar, self._dialogs, records, self._timers, self._out, rng
        )
        self._memory = Memory(records, self._pool, self._dialogs, registrar, self._out)
        self._core.tells_details = registrar.tells_details = notes_from == Level.DEBUG
        self._core.tells_calls = self._dialogs.tells_calls = notes_from in (Level.DEBUG, Level.INFO)
        self._relay: Relay | None = None
        self.rtpengines: NgRelay | None = None
        if config.relay is not None:
            if config.relay.rtpengine is not None:
                self._relay = self.rtpengines = NgRelay(config.relay, self._out, self._timers, self._tally, rng)
            else:
                self._relay = BuiltinRelay(config.relay, self._out, self._timers, self._tally, rng)
            legs = Legs(self._relay, self._here, self._pool, self._timers, self._out, config.dialog_lifetime_s)
            self._core.legs, self._dialogs.on_end = legs, self._dialog_ended
        self._admission = Admission(self._core)
        interfaces = self._here.interfaces
        self._layer = self._core.layer = TransactionLayer(
            self._admission, self._out, self._timers, config.timers, lambda name: interfaces[name].reliable
        )
        way, lifetime_s = registrar.targets.way, config.dialog_lifetime_s
        ground = Ground(self._here, self._layer, self._timers, self._out, rng, Ways(registrar), {}, lifetime_s)
        self._core.rescue = rescue = self._new_rescue(ground) if config.rescue.enabled else None
        self._memory.restore_rescues = None if rescue is None else rescue.restore
        self._core.endings = Endings(ground, self._dialogs, self._pool, self._core.ends_of)
        if self.rtpengines is not None and self._core.legs is not None:
            around = Surroundings(self._here, self._layer, self._timers, self._out, rng, way)
            self._core.legs.renews = True
            self.rtpengines.renew = Renewals(around, self._core.legs).begin
        self._prober = Prober(self._pool, self._layer, self._timers, rng, config.name)
        self._streams = Streams(
            config, interfaces, wheel, self._tally, self._out, rng, registrar.lease, self._flow_lost
        )
        registrar.connect(self._streams)
        self._keep_alive = KeepAlive[Binding](
            config.keep_alive, self._here, wheel, self._out, rng, registrar.unreachable
        )
        registrar.tell(self._keep_alive)
        if config.peers:
            core = self._core
            core.peers = Peers(
                config, self._here, registrar.tokens, self._layer, rng, wall_offset_s, registrar.targets.reaches
            )
            registrar.targets.peers = core.peers
        self.events = NodeEvents(config, self._pool, self._dialogs, self._timers, self._out, self._prober.soon)
        self._overloaded = False

    def _new_rescue(self, ground: Ground) -> Rescue | None:
        """What takes over the calls of a node that dies; nothing where their media are not in our hands."""
        legs = self._core.legs
        if legs is None:
            return None
        return Rescue(
            self.config.rescue,
            ground,
            self._dialogs,
            ground.lifetime_s,
            legs,
            partial(bridge_of, lambda node, now: self.events.fresh_calls(node, now)),
            self._pool.is_down,
            partial(place, self._core),
            self._records,
        )

    def _dialog_ended(self, key: tuple[bytes, bytes], now: float) -> None:
        """A dialog has ended, perhaps without a word of its own."""
        core = self._core
        if core.legs is not None:
            core.legs.drop(key, now)
        if core.rescue is not None:
            core.rescue.ended(key, now)

    # --- Machine

    def ask_for_ports(self, is_free: Callable[[str, int], bool]) -> None:
        """Take media ports only where the host says that they can be bound, by interface and even port."""
        if isinstance(self._relay, BuiltinRelay):
            self._relay.ask(is_free)

    def start(self, now: float) -> Sequence[Effect]:
        self._registrar.returns.begin(now)
        for node in self._pool:
            self._watch(node, now)
        self.events.start(now)
        if self._core.peers is not None:
            self._core.peers.start(now)
        if self.rtpengines is not None:
            self.rtpengines.start(now)
        return self._drain_out()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if self._timers.deadline() <= now:
            self._timers.fire_due(now)  # what was due before this happened comes before it
        rtpengines = self.rtpengines
        if rtpengines is not None and rtpengines.took(event, now):
            pass  # it was an rtpengine's word
        elif isinstance(event, Datagram):
            self._datagram(event.flow, event.data, now)
        elif isinstance(event, Pong):
            self._streams.answered(event.flow)
        elif isinstance(event, _OF_STREAMS) and event.flow.interface in self.events.interfaces:
            self.events.receive(event, now)
        elif isinstance(event, StreamData):
            self._stream_data(event.flow, event.data, now)
        elif isinstance(event, (MediaPacket, MediaStats, PortsFailed, DtlsEnded)):
            if self._relay is not None:
                self._relay.receive(event, now)
        elif isinstance(event, StreamOpened):
            self._streams.opened(event.flow, event.accepted, now)
        elif isinstance(event, StreamClosed):
            self._streams.closed(event.flow, event.reason, event.farewell, now)
        elif isinstance(event, Unreachable):
            self._unreachable(event, now)
        elif isinstance(event, NodeOrder):
            self._order(event, now)
        elif isinstance(event, Committed):
            self._records.committed(event.ticket, now)
        elif isinstance(event, Loaded):
            self._memory.restore(event.records, now)
        elif isinstance(event, CallOrder):
            self._core.endings.order(event.call_id, self._core.rescue, self.events, now)
        elif isinstance(event, RegistrationOrder):
            for flow in self._registrar.kick(event.aor.encode(), now):
                self._streams.close(flow, "its user was kicked", now)
        elif isinstance(event, Drain):
            self._drain(True, now)
        elif isinstance(event, Reconfigure) and isinstance(event.settings, EdgeSettings):
            self._reconfigure(event.settings, now)
        return self._drain_out()

    def tick(self, now: float) -> Sequence[Effect]:
        self._timers.fire_due(now)
        return self._drain_out()

    def deadline(self) -> float:
        return self._timers.deadline()

    def _drain_out(self) -> Sequence[Effect]:
        effects = self._out.copy()
        self._out.clear()
        return effects

    # --- what came in

    def _datagram(self, flow: Flow, data: bytes, now: float) -> None:
        limits = self.config.limits
        if len(data) > limits.message_bytes:
            self._dropped(flow, "larger than the limit")
            return
        if data and data[0] <= LAST_FIRST_OCTET and is_stun(data):
            self._stun(flow, data, now)
            return
        try:
            message = parse_datagram(data, limits.header_lines)
        except SipError as error:
            self._dropped(flow, error.why)
            return
        if message is not None:
            self._message(message, flow, now)

    def _stun(self, flow: Flow, data: bytes, now: float) -> None:
        try:
            answer = stun_answer(data, flow.peer)
        except StunError as error:
            self._tally.add(StunDropped, flow.interface, str(error), now)
            return
        if answer:
            self._out.append(Send(flow, answer))

    def _stream_data(self, flow: Flow, data: bytes, now: float) -> None:
        lost: BoundaryLostError | None = None
        try:
            messages = self._streams.receive(flow, data, now)
        except BoundaryLostError as broken:
            messages, lost = broken.messages, broken
        except SipError as error:
            self._dropped(flow, error.why)
            return
        for message in messages:
            self._message(message, flow, now)
        if lost is not None:
            if isinstance(lost.culprit, Request):
                self._refuse(lost.culprit, flow, lost)
            else:
                self._dropped(flow, lost.why)
            self._streams.close(flow, lost.why, now)

    def _message(self, message: Request | Response, flow: Flow, now: float) -> None:
        if isinstance(message, Response):
            try:
                validate_response(message)
            except SipError as error:
                self._dropped(flow, f"response: {error.why}")
                return
            if message.via.branch.startswith(KEEP_ALIVE_BRANCH):
                self._keep_alive.answered(message.via.branch)
                return
            self._layer.receive(message, flow, now)
            return
        try:
            validate_request(message)
            back = note_source(message, flow)
        except SipError as error:
            self._refuse(message, flow, error)
            return
        makes_room = message.method in (b"ACK", b"CANCEL", b"BYE")
        if self._overload() and not makes_room and not self._layer.knows(message):
            retry_after = b"Retry-After: %d" % self.config.limits.retry_after_s
            self._refuse(message, back, SipError("overloaded", 503), retry_after)
            return
        self._layer.receive(message, back, now)

    def _overload(self) -> bool:
        """Whether the bound of transactions is reached; its beginning and its end are told."""
        bound = self.config.limits.server_transactions
        reached = self._layer.servers >= bound
        if reached != self._overloaded:
            self._overloaded = reached
            self._out.append(Overloaded("server transactions", bound, reached))
        return reached

    def _refuse(self, request: Request, flow: Flow, error: SipError, *lines: bytes) -> None:
        """Answer without a transaction: nothing of a refused request is kept."""
        source = f"{flow.peer[0]}:{flow.peer[1]}"
        method = request.method.decode("ascii", "replace")
        if request.method == b"ACK" or not request.has("via"):
            self._out.append(MessageDropped(source, error.why))
            return
        self._out.append(RequestRefused(source, method, error.status, error.why))
        reason = b"" if error.status != 400 else b"Bad Request - " + error.why.encode("ascii", "replace")
        response = respond(request, error.status, reason, self._core.tag(), *lines)
        self._out.append(Send(flow, response.wire()))

    def _dropped(self, flow: Flow, why: str) -> None:
        self._out.append(MessageDropped(f"{flow.peer[0]}:{flow.peer[1]}", why))

    def _unreachable(self, event: Unreachable, now: float) -> None:
        node = self._pool.at(event.flow.peer)
        if node is not None:
            self._pool.unreachable(node, now, event.reason)
        elif self._core.peers is not None:
            self._core.peers.unreachable(event.flow, event.reason, now)
        self._layer.unreachable(event.flow, event.reason, now)

    def _flow_lost(self, flow: Flow, reason: str, farewell: bool, now: float) -> None:
        """A connection ended: with it, what was bound to it and what was asked on it."""
        self._registrar.flow_lost(flow, reason, farewell, now)
        for branch in self._core.branches_on(flow):
            branch.flow_lost(reason, now)
        if self._core.rescue is not None:
            self._core.rescue.flow_lost(flow, reason, now)

    # --- nodes

    def _node_flows(self, config: EdgeConfig) -> list[tuple[NodeConfig, Flow]]:
        return [
            (node, Flow(self._here.interface_for(node.transport, node.interface).name, (node.host, node.port)))
            for node in config.nodes
        ]

    def _watch(self, node: Node, now: float) -> None:
        self._prober.watch(node, self._here.interfaces[node.flow.interface], now)

    def _node_changed(self, node: Node, now: float) -> None:
        self._memory.node_changed(node)
        if node.state in (node_state.DOWN, node_state.DRAINING, node_state.DISABLED):
            self._registrar.node_lost(node.name, now)
        if node.state == node_state.DOWN:
            if self._core.rescue is not None:
                self._core.rescue.node_lost(node.name, now)
            for branch in list(self._core.attempts_at(node)):
                branch.node_down(now)
            self._admission.node_down(node, now)
        elif node.state in (node_state.SUSPECT, node_state.RETURNING):
            self._prober.soon(node, now)

    # --- operators

    def _order(self, event: NodeOrder, now: float) -> None:
        """Carry out an order about a node, a relay, or this edge as a whole: the same words mean the same."""
        node = self._pool.order(event, now)
        if node is not None and event.order in ("enable", "resume"):
            self._prober.soon(node, now)
        elif event.node == self.config.name:
            self._drain(event.order in ("drain", "disable"), now)
        elif node is None and self.rtpengines is not None:
            self.rtpengines.servers.instruct(event.node, event.order, now)

    def _drain(self, drains: bool, now: float) -> None:
        """Take no new work, and let agents who have another edge go there one by one; or end that."""
        self._admission.draining = drains
        peers = self._core.peers
        self._registrar.leave(drains and peers is not None and bool(peers.ways()), now)

    def _reconfigure(self, settings: EdgeSettings, now: float) -> None:
        """Take over new settings. Calls under way go on under the policy that began them.

        Interfaces and transaction timers stay as they are: their host must not offer settings that change them
        (``needs_restart``).
        """
        config, policy = settings
        nodes = self._node_flows(config)  # first what could refuse them
        differences = changes(self.config, config)
        before = {node.name: node for node in self._pool}
        self.config = self._core.config = config
        self._streams.reconfigure(config)
        self._registrar.reconfigure(config)
        self._keep_alive.config = config.keep_alive
        self._core.policy = policy
        self._core.policy_name = config.policy.use
        self._pool.passive, self._pool.probe = _passive(settings), config.probe
        self._pool.replace(nodes, now)
        after = {node.name: node for node in self._pool}
        for name, node in before.items():
            if after.get(name) is not node:
                self._prober.forget(node)
                self._registrar.node_lost(name, now)
        for node in after.values():
            if node.probe is None:
                self._watch(node, now)
        self.events.reconfigure(config, now)
        if self.rtpengines is not None and config.relay is not None:
            self.rtpengines.reconfigure(config.relay, now)
        self._out.append(Reconfigured(config.name, differences))

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by stopping: no dialog stands and no request waits for its answer."""
        return not self._dialogs and not self._core.open_attempts and not self.rescued_dialogs()

    def open_transactions(self) -> int:
        return len(self._layer)

    def open_dialogs(self) -> int:
        return len(self._dialogs)

    def open_calls(self) -> int:
        """How many ``calls`` tells of."""
        return snapshots.open_calls(self._dialogs, self._core.rescue)

    def open_connections(self) -> int:
        return len(self._streams)

    def open_bindings(self) -> int:
        return len(self._registrar.bindings)

    def open_attempts(self) -> int:
        return self._core.open_attempts

    def relayed_calls(self) -> int:
        """Calls, and branches of calls, whose media are relayed."""
        return 0 if self._relay is None else len(self._relay)

    def rescued_dialogs(self) -> int:
        """Dialogs in which the edge stands in for a node that is gone."""
        return 0 if self._core.rescue is None else self._core.rescue.rescued

    @property
    def draining(self) -> bool:
        """Whether no new work is taken."""
        return self._admission.draining

    def calls(self, now: float) -> Iterator[CallSnapshot]:
        """The calls that stand."""
        return snapshots.calls(self._dialogs, self.events, self._core.rescue, now)

    def why_not_ended(self, call_id: str) -> str:
        """Why a call that stands could not be ended by order; "" where it could."""
        return self._core.endings.obstacle(call_id, self._core.rescue, self.events)

    def registrations(self, now: float, aor: str = "") -> Iterator[RegistrationSnapshot]:
        """The contacts of one user, or of all."""
        return snapshots.registrations(self._registrar.bindings, aor, now)

    def nodes_snapshot(self, now: float = 0.0) -> list[NodeSnapshot]:
        return self._pool.snapshot(now)

    def peers_snapshot(self, now: float = 0.0) -> list[NodeSnapshot]:
        """The other edges."""
        return [] if self._core.peers is None else self._core.peers.snapshot(now)

    def others_snapshot(self) -> list[NodeSnapshot]:
        """What else takes the orders that nodes take: relays, and this edge."""
        relays = () if self.rtpengines is None else self.rtpengines.servers.snapshot()
        return snapshots.others(self.config.name, self.draining, len(self._dialogs), relays)


def _passive(settings: EdgeSettings) -> PassiveConfig:
    """What calls tell of a node's health; nothing under a policy that disregards it."""
    return replace(
        settings.config.passive, enabled=settings.config.passive.enabled and settings.policy.honours_health
    )
