"""The other edges of a deployment: who they are, whether they live, and what is asked of them.

Any edge may be sent a request for an agent that has moved to another one: nodes keep the address where it
registered before, and dialogs the edge through which they were set up. An edge that does not reach an agent itself
sends the request on to the one that has said that it does, or to all; with a Route whose user part is a token that
only edges with the same secret can make, good in that call alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from engine.boundary import Effect, Flow
from engine.config import EdgeConfig, NodeConfig, PassiveConfig, PeerConfig
from engine.here import MARK, Here
from engine.nodes import Node, NodeSnapshot, Pool, state
from engine.nodes.probes import Prober
from engine.notes import PeerLost, PeerReturned
from engine.notices import Notices
from engine.proxy.routes import Routed, take_routes
from engine.registrar.tokens import FlowToken, Notice, Tokens, digest_of
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request
from engine.sip.transactions import TransactionLayer
from engine.sip.transactions.transaction import ClientUser
from engine.sip.uri import parse_uri
from engine.telling import Telling

_ANY_ANSWER = 700  # an edge that drains says 503, and still reaches its agents


class Peers:
    """The other edges, by name and by address."""

    def __init__(
        self,
        config: EdgeConfig,
        here: Here,
        tokens: Tokens,
        layer: TransactionLayer,
        rng: random.Random,
        wall_offset_s: float,
        reaches: Callable[[bytes], bool],
    ) -> None:
        self._here = here
        self._most = config.limits.bindings
        self._where: dict[bytes, str] = {}  # agents that others said they reach, by the key of their binding
        self._lost: set[str] = set()  # of whom it was told that they are down
        self._tokens = tokens
        self._layer = layer
        self._out = layer.out
        self._theirs = {peer.name: Here(peer.interfaces, ()) for peer in config.peers}
        self._faces = {peer.name: peer.interface for peer in config.peers}  # their interfaces towards us
        names = frozenset(self._theirs)
        self._notices = Notices(config.name, names, tokens, wall_offset_s, self._most, rng)
        untold: list[Effect] = []  # a pool speaks of nodes

        def changed(node: Node, now: float) -> None:
            untold.clear()
            self._changed(node, now)

        self._wall_offset_s = wall_offset_s
        nodes = [_node(peer) for peer in config.peers]
        flows = [
            Flow(here.interface_for(each.transport, each.interface).name, (each.host, each.port)) for each in nodes
        ]
        passive = PassiveConfig(enabled=True)
        probe = replace(config.probe, mode="always")
        self._pool = Pool(zip(nodes, flows, strict=True), passive, probe, untold, rng, changed)
        self._tellings = {
            node.name: Telling(self._most, partial(_lives, node), reaches, partial(self._tell, node))
            for node in self._pool
        }
        self._prober = Prober(self._pool, layer, layer.timers, rng, config.name, _ANY_ANSWER)

    def start(self, now: float) -> None:
        for node in self._pool:
            self._prober.watch(node, self._here.interfaces[node.flow.interface], now)
            self._prober.soon(node, now)  # they are few, and agents come at once

    # --- who lives

    def _changed(self, node: Node, now: float) -> None:
        if node.state == state.DOWN:
            self._lost.add(node.name)
            self._out.append(PeerLost(node.name))
        elif node.state in (state.SUSPECT, state.RETURNING):
            self._prober.soon(node, now)
        elif node.name in self._lost:
            self._lost.remove(node.name)
            self._out.append(PeerReturned(node.name))
            self._tellings[node.name].begin_again(now)

    def heard(self, flow: Flow, now: float) -> None:
        """Somebody asked from here whether we live: an edge that seems down, perhaps, is asked itself at once."""
        for node in self._pool:
            if node.state == state.DOWN and node.flow.peer[0] == flow.peer[0]:
                self._prober.soon(node, now)

    def snapshot(self, now: float) -> list[NodeSnapshot]:
        """What is known of each."""
        return self._pool.snapshot(now)

    def unreachable(self, flow: Flow, reason: str, now: float) -> None:
        """The network says that nothing listens at this address."""
        node = self._pool.at(flow.peer)
        if node is not None:
            self._pool.unreachable(node, now, reason)

    # --- who reaches whom

    def took(self, key: bytes, name: str) -> None:
        """Another edge reaches this agent from now on."""
        for telling in self._tellings.values():
            telling.forget(key)
        self._where.pop(key, None)
        if len(self._where) >= self._most:
            del self._where[next(iter(self._where))]  # whoever asks for that one asks all edges
        self._where[key] = name

    def way(self, key: bytes) -> Flow | None:
        """The way to the edge that said that it reaches this agent; None where none did, or where it is down."""
        node = self._pool.get(self._where.get(key, ""))
        return None if node is None or node.state == state.DOWN else node.flow

    def ways(self) -> tuple[Flow, ...]:
        """The ways to all edges that live: one of them may reach an agent of whom nothing is known here."""
        return tuple(node.flow for node in self._pool if node.state != state.DOWN)

    # --- requests for agents of theirs

    def route(self, key: bytes, call_id: bytes, flow: Flow) -> bytes:
        """The Route line by which another edge sends a request on to an agent that it reaches."""
        node = self._pool.at(flow.peer)
        assert node is not None  # the flow is one of ``ways``
        user = self._tokens.seal(FlowToken(key, call=digest_of(call_id), between_edges=True))
        return b"Route: <" + self._theirs[node.name].uri(self._faces[node.name], user) + b";lr>"

    # --- requests in dialogs that were set up through them

    def take_route(self, request: Request) -> tuple[Routed | None, Flow | None]:
        """What a Route of another edge on top means: the way there, or its Routes taken off.

        The latter where that edge is down: this one then stands in its place. Neither where no Route is another
        edge's, or none of them was made for this very call.
        """
        if not request.has("route") or not request.to.tag:
            return None, None
        try:
            top = parse_uri(parse_name_addr(request.first("route"), "Route").uri)
        except SipError:
            return None, None
        for name, theirs in self._theirs.items():
            if theirs.interface_of(top) is None:
                continue
            if not any(self._is_ours(value, theirs, request) for value in request.values("route")):
                return None, None
            node = self._pool.get(name)
            if node is not None and node.state != state.DOWN:
                return None, node.flow
            routed = take_routes(request, theirs)
            if routed.interface not in self._here.interfaces:
                routed.interface = ""
            return routed, None
        return None, None

    def _is_ours(self, value: bytes, theirs: Here, request: Request) -> bool:
        """Whether a Route value is another edge's, and was made for this call."""
        try:
            uri = parse_uri(parse_name_addr(value, "Route").uri)
        except SipError:
            return False
        if theirs.interface_of(uri) is None:
            return False
        return self._tokens.made_for(request.call_id, (uri.params.get(MARK) or b"",), (uri.user or b"",))

    # --- agents that have moved

    def tell(self, key: bytes, now: float) -> None:
        """This edge reaches an agent from now on: tell all others, those that are down when they are back."""
        self._where.pop(key, None)
        for telling in self._tellings.values():
            telling.took(key, now)

    def _tell(self, node: Node, key: bytes, taken_at: float, user: ClientUser, now: float) -> None:
        theirs, face = self._theirs[node.name], self._faces[node.name]
        notice = self._notices.write(key, theirs, face, self._here, node.flow.interface, now, taken_at)
        self._layer.send(notice, node.flow, user, now)

    def moved(self, request: Request, now: float) -> Notice | None:
        """Which edge reaches which agent from now on; None where this is no notice of that.

        Raises
        ------
        SipError
            403 where the notice is not another edge's, or not of now.
        """
        return self._notices.read(request, now)

    def is_outrun(self, notice: Notice) -> bool:
        """Whether the agent has come here since, which the edge that says so has not heard yet."""
        return self._tellings[notice.edge].taken_at(notice.key) + self._wall_offset_s > notice.taken_at


def _lives(node: Node) -> bool:
    return node.state != state.DOWN


def _node(peer: PeerConfig) -> NodeConfig:
    """Another edge as a pool knows nodes: at the interface that edges talk to each other on."""
    there = next(each for each in peer.interfaces if each.name == peer.interface)
    host, port = there.public_host, there.public_port
    return NodeConfig(name=peer.name, host=host, port=port, transport=there.transport, interface=peer.by)
