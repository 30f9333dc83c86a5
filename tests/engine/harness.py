"""A world of one edge: bytes in, bytes out, and a clock that jumps from deadline to deadline.

    world = World()
    call = world.caller.invite()
    world.node("FS1").answer(200)
    assert call.statuses == [100, 200]

Nothing here looks into the edge; what it keeps is asked by the questions that it answers to its hosts.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from engine.boundary import (
    Address,
    Close,
    Commit,
    Datagram,
    Drain,
    Drop,
    Effect,
    Flow,
    Input,
    Interface,
    Level,
    NodeOrder,
    Note,
    Ping,
    Pong,
    Save,
    Send,
    StreamClosed,
    StreamData,
    StreamOpened,
    Unreachable,
)
from engine.config import EdgeConfig, NodeConfig, PolicyConfig, ProbeConfig
from engine.edge import Edge, EdgeSettings
from engine.media.rules import MediaStats, Port, ReleasePorts
from engine.nodes import NodeSnapshot
from engine.policies import load_policy
from engine.policy import Policy
from tests.engine.media.table import Table
from tests.engine.wire import Wire, message, param, reply, uri_of

INTERFACES = (
    Interface(name="outside", transport="udp", host="192.0.2.1", port=5060),
    Interface(name="inside", transport="udp", host="10.0.0.1", port=5060),
    Interface(name="stream", transport="tcp", host="192.0.2.1", port=5060),
)
EDGE = "192.0.2.1"
_LONGER_THAN_TIMERS_S = 400.0

N = TypeVar("N", bound=Note)


def node(name: str, **settings: Any) -> NodeConfig:
    """Settings of a node FS1, FS2, ... at 10.0.0.11, 10.0.0.12, ..., on the inner interface."""
    return NodeConfig(**{"name": name, "host": f"10.0.0.{10 + int(name[2:])}", "interface": "inside", **settings})


class World:
    """One edge with callers outside and nodes inside. Time begins at 0 and moves only when it is told to.

    Probes go to nodes that are down only, unless ``probe`` says otherwise; nodes answer them at once.
    """

    def __init__(
        self,
        *,
        nodes: Sequence[str | NodeConfig] = ("FS1", "FS2"),
        policy: str | Policy = "least_loaded",
        options: Mapping[str, Any] | None = None,
        interfaces: tuple[Interface, ...] = INTERFACES,
        seed: int = 1,
        notes_from: Level = Level.DEBUG,
        wall_offset_s: float = 0.0,
        name: str = "edge1",
        **settings: Any,
    ) -> None:
        if isinstance(policy, str):
            settings["policy"] = PolicyConfig(use=policy, options=dict(options or {}))
        settings.setdefault("probe", ProbeConfig(mode="disabled_only", jitter=0.0))
        self.config = EdgeConfig(
            name=name,
            interfaces=interfaces,
            nodes=tuple(node(each) if isinstance(each, str) else each for each in nodes),
            **settings,
        )
        self.policy = policy if isinstance(policy, Policy) else load_policy(self.config.policy)
        self.now = 0.0
        self.notes: list[Note] = []
        self.orders: list[Save | Drop | Commit] = []
        self.sent: list[Wire] = []
        self.closed: list[Flow] = []
        self.pinged: list[tuple[float, Flow]] = []
        self.media = Table()
        self._peers: dict[tuple[str, Address, int], Peer] = {}
        self._numbers = itertools.count(1)
        self.edge = Edge(EdgeSettings(self.config, self.policy), random.Random(seed), notes_from, wall_offset_s)
        self.caller = self.peer("198.51.100.7")
        self._nodes = {each.name: NodePeer(self, each) for each in self.config.nodes}
        self._do(self.edge.start(self.now))

    # --- who is there

    def peer(self, host: str, port: int = 5060, interface: str = "outside", stream: int = 0) -> Peer:
        """Another user agent; the same one for the same address."""
        known = self._peers.get((interface, (host, port), stream))
        return known or Peer(self, Flow(interface, (host, port), stream))

    def node(self, name: str) -> NodePeer:
        return self._nodes[name]

    @property
    def nodes(self) -> list[NodePeer]:
        return list(self._nodes.values())

    def called(self, method: str = "INVITE") -> NodePeer:
        """The node that was sent the latest INVITE, or request of another method."""
        flows = [wire.flow for wire in self.sent if wire.is_request and wire.method == method]
        return next(each for flow in reversed(flows) for each in self.nodes if each.flow == flow)

    def number(self) -> int:
        return next(self._numbers)

    # --- time

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at each deadline of the edge."""
        until = self.now + seconds
        stalled = 0
        while (deadline := self.edge.deadline()) <= until:
            stalled = stalled + 1 if deadline <= self.now else 0
            assert stalled < 1000, "the edge asks for ticks without end"
            self.now = max(self.now, deadline)
            self._do(self.edge.tick(self.now))
        self.now = until

    def run_out(self) -> None:
        """Let more time pass than any timer of a request runs, timer C included."""
        self.advance(_LONGER_THAN_TIMERS_S)

    # --- what happens

    def happen(self, event: Input) -> None:
        self._do(self.edge.receive(event, self.now))

    def order(self, name: str, order: Any) -> None:
        self.happen(NodeOrder(name, order))

    def drain(self) -> None:
        self.happen(Drain())

    def _do(self, effects: Sequence[Effect]) -> None:
        closed: list[Port] = []
        for effect in effects:
            if isinstance(effect, Send):
                wire = Wire(effect.data, effect.flow, self.now)
                self.sent.append(wire)
                peer = self._peers.get((effect.flow.interface, effect.flow.peer, effect.flow.stream))
                if peer is not None:
                    peer.receive(wire)
            elif isinstance(effect, Close):
                self.closed.append(effect.flow)
            elif isinstance(effect, Ping):
                self.pinged.append((self.now, effect.flow))
            elif isinstance(effect, (Save, Drop, Commit)):
                self.orders.append(effect)
            elif isinstance(effect, Note):
                self.notes.append(effect)
            else:
                if isinstance(effect, ReleasePorts) and self.media.has_rule(effect.port):
                    closed.append(effect.port)  # of others the data plane has nothing to say
                self.media.obey([effect])
        for port in closed:
            self._do(self.edge.receive(MediaStats(port, 0, 0, 0, 0.0, None, 0.0, 0), self.now))

    # --- what is known

    def told(self, kind: type[N]) -> list[N]:
        """The Notes of one kind, in order."""
        return [each for each in self.notes if isinstance(each, kind)]

    def status(self, name: str) -> NodeSnapshot:
        return next(each for each in self.edge.nodes_snapshot(self.now) if each.name == name)

    def state(self, name: str) -> str:
        return self.status(name).state

    def in_use(self, name: str, resource: str = "pstn") -> int:
        return self.status(name).in_use.get(resource, 0)


class Peer:
    """A user agent that does what a test tells it; ``inbox`` holds what the edge sent to it."""

    def __init__(self, world: World, flow: Flow) -> None:
        self.world = world
        self.flow = flow
        self.inbox: list[Wire] = []
        world._peers[flow.interface, flow.peer, flow.stream] = self

    @property
    def transport(self) -> str:
        """The transport as Via spells it."""
        return next(i.transport for i in self.world.config.interfaces if i.name == self.flow.interface).upper()

    @property
    def host_port(self) -> str:
        return f"{self.flow.peer[0]}:{self.flow.peer[1]}"

    def receive(self, wire: Wire) -> None:
        self.inbox.append(wire)

    def sends(self, data: bytes) -> None:
        flow = self.flow
        self.world.happen(StreamData(flow, data) if flow.stream else Datagram(flow, data))

    def opens(self, *, accepted: bool = True) -> None:
        """A connection stands; ``accepted`` where the peer, not the edge, asked for it."""
        self.world.happen(StreamOpened(self.flow, accepted))

    def pongs(self) -> None:
        self.world.happen(Pong(self.flow))

    def closes(self, reason: str = "closed by peer") -> None:
        """The connection ends, cut off on the way for all that is known."""
        self.world.happen(StreamClosed(self.flow, reason))

    def leaves(self) -> None:
        """The connection ends with the peer's farewell."""
        self.world.happen(StreamClosed(self.flow, "closed by peer", farewell=True))

    def unreachable(self, reason: str = "port unreachable") -> None:
        """The network says that nothing listens there."""
        self.world.happen(Unreachable(self.flow, reason))

    def got(self, method: str) -> list[Wire]:
        """The requests of a method that came, repetitions included."""
        return [wire for wire in self.inbox if wire.is_request and wire.method == method]

    def statuses(self, method: str = "") -> list[int]:
        return [w.status for w in self.inbox if not w.is_request and method in ("", w.method)]

    def request(self, method: str, uri: str = f"sip:{EDGE}", *lines: str, **parts: Any) -> Exchange:
        """Send a request outside any dialog."""
        exchange = Exchange(self, method, uri, *lines, **parts)
        exchange.send()
        return exchange

    def invite(self, uri: str = f"sip:9196@{EDGE}", *lines: str, **parts: Any) -> Exchange:
        return self.request("INVITE", uri, *lines, **parts)

    def replies(self, request: Wire, status: int, *lines: str, tag: str = "", body: bytes = b"") -> None:
        if 100 < status < 300 and not any(line.startswith("Contact") for line in lines):
            lines = (*lines, f"Contact: <sip:{self.host_port}>")
        self.sends(reply(request, status, *lines, tag=tag, body=body))

    def within(
        self, method: str, dialog: Wire, *lines: str, cseq: int = 1, uri: str = "", body: bytes = b""
    ) -> Wire:
        """Send a request within the dialog that ``dialog`` (a response that came or a request answered) made."""
        answered = dialog.is_request  # then we are the callee
        routes = dialog.all("record-route")
        ours, theirs = ("to", "from") if answered else ("from", "to")
        mine = dialog[ours]
        if answered and not param(mine, "tag"):
            mine += f";tag={self.tag_for(dialog)}"
        data = message(
            f"{method} {uri or uri_of(dialog['contact'])} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {self.host_port};branch=z9hG4bKw{self.world.number()};rport",
            *[f"Route: {route}" for route in (routes if answered else reversed(routes))],
            f"From: {mine}",
            f"To: {dialog[theirs]}",
            f"Call-ID: {dialog['call-id']}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            *lines,
            "Content-Type: application/sdp" if body else "",
            body=body,
        )
        self.sends(data)
        return Wire(data, self.flow, self.world.now)

    def tag_for(self, request: Wire) -> str:
        """The tag with which this peer answers a request."""
        named = re.sub(r"[^\w.-]", "_", request["call-id"].split("@")[0])  # a Call-ID may have what a tag may not
        return f"t-{self.flow.peer[0]}-{named}"

    def bye(self, dialog: Wire) -> Wire:
        return self.within("BYE", dialog, cseq=2)


class NodePeer(Peer):
    """A FreeSWITCH node. It answers probes at once unless ``alive`` is False."""

    def __init__(self, world: World, config: NodeConfig) -> None:
        super().__init__(world, Flow(config.interface or "inside", (config.host, config.port)))
        self.name = config.name
        self.alive = True
        self.probe_status = 200
        self.probes: list[Wire] = []

    def receive(self, wire: Wire) -> None:
        if wire.is_request and wire.method == "OPTIONS" and wire["call-id"].startswith("probe-"):
            self.probes.append(wire)
            if self.alive:
                self.replies(wire, self.probe_status, tag="p")
        else:
            super().receive(wire)

    def answer(
        self,
        status: int,
        *lines: str,
        method: str = "INVITE",
        tag: str | None = None,
        which: int = -1,
        body: bytes = b"",
    ) -> None:
        """Answer the latest request of a method (or another by its index)."""
        request = self.got(method)[which]
        self.replies(request, status, *lines, tag=self.tag_for(request) if tag is None else tag, body=body)

    def hangs_up(self) -> Wire:
        """BYE in the dialog of the latest INVITE."""
        return self.bye(self.got("INVITE")[-1])


class Exchange:
    """One request of a peer, and what comes back for it."""

    def __init__(self, peer: Peer, method: str, uri: str, *lines: str, **parts: Any) -> None:
        number = peer.world.number()
        self.peer = peer
        self.method = method
        self.uri = uri
        self.lines = lines
        self.call_id: str = parts.get("call_id", f"c{number}@{peer.flow.peer[0]}")
        self.via: str = parts.get(
            "via", f"SIP/2.0/{peer.transport} {peer.host_port};branch=z9hG4bKc{number};rport"
        )
        self.from_: str = parts.get("from_", f"<sip:1000@{EDGE}>;tag=f{number}")
        self.to: str = parts.get("to", f"<{uri}>")
        self.cseq: int = parts.get("cseq", 1)
        self.max_forwards: str = parts.get("max_forwards", "Max-Forwards: 70")
        self.body: str | bytes = parts.get("body", "")
        self.sent_at = peer.world.now

    def data(self, method: str = "", *lines: str, to: str = "") -> bytes:
        method = method or self.method
        contact = f"Contact: <sip:1000@{self.peer.host_port}>" if method in ("INVITE", "REGISTER") else ""
        if any(line.startswith("Contact") for line in lines):
            contact = ""
        return message(
            f"{method} {self.uri} SIP/2.0",
            f"Via: {self.via}",
            self.max_forwards,
            f"From: {self.from_}",
            f"To: {to or self.to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            contact,
            *lines,
            "Content-Type: application/sdp" if self._describes(method, lines) else "",
            body=self.body if method == self.method else "",
        )

    def _describes(self, method: str, lines: tuple[str, ...]) -> bool:
        """Whether a Content-Type is to be written: a body in octets is a session description."""
        own = any(line.startswith("Content-Type") for line in lines)
        return method == self.method and isinstance(self.body, bytes) and bool(self.body) and not own

    def send(self) -> None:
        """Send the request, or repeat it."""
        self.peer.sends(self.data(self.method, *self.lines))

    def cancel(self, *lines: str) -> None:
        self.peer.sends(self.data("CANCEL", *lines))

    def refuse_ack(self) -> None:
        """The ACK of a final response other than 2xx."""
        self.peer.sends(self.data("ACK", to=self.final["to"]))

    def ack(self, body: bytes = b"") -> None:
        """The ACK of the 2xx."""
        self.peer.within("ACK", self.final, cseq=self.cseq, body=body)

    def bye(self) -> Wire:
        return self.peer.bye(self.final)

    @property
    def responses(self) -> list[Wire]:
        return [
            wire
            for wire in self.peer.inbox
            if not wire.is_request
            and wire["call-id"] == self.call_id
            and wire["cseq"] == f"{self.cseq} {self.method}"
        ]

    @property
    def statuses(self) -> list[int]:
        return [wire.status for wire in self.responses]

    @property
    def final(self) -> Wire:
        """The first final response."""
        return next(wire for wire in self.responses if wire.status >= 200)

    @property
    def cancel_statuses(self) -> list[int]:
        return [
            wire.status
            for wire in self.peer.inbox
            if not wire.is_request and wire["call-id"] == self.call_id and wire.method == "CANCEL"
        ]

    def establish(self) -> NodePeer:
        """The node that was chosen answers 200; ACK. The result is the node."""
        chosen = self.peer.world.called()
        chosen.answer(200)
        self.ack()
        return chosen
