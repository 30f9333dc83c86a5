"""Where a flow token leads, and who may use it."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, NamedTuple, Protocol

from engine.boundary import Flow
from engine.here import Here
from engine.registrar import gruu
from engine.registrar.binding import NO_KEY, Binding, aor_of, is_elsewhere
from engine.registrar.bindings import Bindings
from engine.registrar.facing import Facing
from engine.registrar.tokens import PREFIX, FlowToken, Tokens, digest_of, is_token
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request
from engine.sip.uri import parse_uri

_WEB: Final = ("ws", "wss")


class FlowFailedError(SipError):
    """The flow on which the agent of this key was reached is gone (RFC 5626 §5.3).

    ``asked`` tells that another edge has sent the request on, which is not to be sent on again.
    """

    def __init__(self, why: str, key: bytes, asked: bool = False) -> None:
        super().__init__(why, 430)
        self.key = key
        self.asked = asked


class Others(Protocol):
    """The other edges (``engine.peers``)."""

    def took(self, key: bytes, name: str) -> None:
        """One of them reaches an agent."""
        ...

    def way(self, key: bytes) -> Flow | None:
        """The way to the one that reaches an agent."""
        ...

    def route(self, key: bytes, call_id: bytes, flow: Flow) -> bytes:
        """The Route line by which that one is asked to reach an agent in a call."""
        ...

    def tell(self, key: bytes, now: float) -> None:
        """Tell them that this edge reaches an agent."""
        ...


class Target(NamedTuple):
    """An agent that is reached on a flow. ``uri`` is the Request-URI for it.

    With ``edges`` one of these is asked to reach it; ``flow`` is the way to the first.
    """

    flow: Flow
    key: bytes
    uri: bytes
    edges: tuple[Flow, ...] = ()


class Targets:
    """Finds agents by tokens, and writes the tokens that dialogs are to be routed by."""

    __slots__ = ("_bindings", "_facing", "_here", "_tokens", "connections", "peers")

    def __init__(self, here: Here, bindings: Bindings, facing: Facing, tokens: Tokens) -> None:
        self._here = here
        self._bindings = bindings
        self._facing = facing
        self._tokens = tokens
        self.connections: Container[Flow] = ()  # those that stand
        self.peers: Others | None = None  # None: this edge is alone

    # --- requests towards agents

    def find(self, request: Request, popped: bytes | None, from_node: bool) -> Target | None:
        """The agent that a token in the Request-URI, or else in our own last Route, leads to.

        ``popped`` is the user part of that Route. None where there is no token, or where it leaves the way to the
        request itself: the connection of an agent without registration is gone, and its Contact may do.

        Raises
        ------
        SipError
            403 where the token is not ours, or not the sender's; ``FlowFailedError`` where its flow is gone.
        """
        if PREFIX in request.uri and not request.has("route"):
            uri = parse_uri(request.uri)
            if is_token(uri.user) and self._here.interface_of(uri) is not None:
                token = self._tokens.open(uri.user or b"")
                if not from_node:
                    raise SipError("flow token in a Request-URI that comes from no node", 403)
                return self._by_contact(token, request.uri)
        if not is_token(popped):
            return self._by_gruu(request.uri) if from_node and gruu.PARAM in request.uri else None
        token = self._tokens.open(popped or b"")
        if token.between_edges:
            return self._for_other_edge(token, request)
        # Within its call a token serves both sides; else it would let any agent reach any other one unasked.
        if not from_node and (not token.call or not request.to.tag or token.call != digest_of(request.call_id)):
            raise SipError("flow token that is not its sender's to use", 403)
        return self._by_route(token, request.uri)

    def again(self, target: Target, in_dialog: bool) -> Target:
        """The same agent on the flow that it has by now, at the Contact that it has by now.

        Raises
        ------
        SipError
            ``FlowFailedError`` where it has none.
        """
        binding = self._bindings.get(target.key)
        away = self._elsewhere(binding, FlowToken(target.key), target.uri)
        if away is not None:
            return away
        flow = self._flow(binding, FlowToken(target.key))
        return Target(flow, target.key, target.uri if in_dialog or binding is None else binding.contact)

    def _elsewhere(self, binding: Binding | None, token: FlowToken, uri: bytes) -> Target | None:
        """The edge that has said that it reaches an agent who is not reached here."""
        if self.peers is None or self._is_open(token.flow if binding is None else binding.flow):
            return None
        way = self.peers.way(token.key)
        return None if way is None else Target(way, token.key, uri, (way,))

    def _for_other_edge(self, token: FlowToken, request: Request) -> Target:
        """Another edge sends on what it was sent for an agent that may be reached here."""
        if token.call != digest_of(request.call_id):
            raise SipError("flow token of another call", 403)
        binding = self._bindings.get(token.key)
        if binding is None or not self._is_open(binding.flow):
            raise FlowFailedError("agent of another edge that is not reached here either", token.key, asked=True)
        flow = self._flow(binding, token)
        uri = request.uri
        if not request.to.tag or PREFIX in uri or self._is_meant(binding, uri, flow):
            uri = binding.contact
        return Target(flow, token.key, uri)

    def _is_meant(self, binding: Binding, uri: bytes, flow: Flow) -> bool:
        """Whether a Request-URI is what a node sees of this binding's Contact."""
        return self._facing.shown(binding.contact, flow) == uri or gruu.names(uri, binding)

    def _by_contact(self, token: FlowToken, uri: bytes) -> Target:
        """The node stored the token as Contact: the agent's own takes its place."""
        binding = self._bindings.get(token.key)
        away = self._elsewhere(binding, token, uri)
        if away is not None:
            return away
        contact = token.contact if binding is None else binding.contact
        if not contact:
            raise FlowFailedError("flow token of an agent that is not registered", token.key)
        return Target(self._flow(binding, token), token.key, contact)

    def _by_route(self, token: FlowToken, uri: bytes) -> Target | None:
        binding = self._bindings.get(token.key)
        if binding is None and token.key == NO_KEY and not self._is_open(token.flow):
            interface = self._here.interfaces.get(token.flow.interface) if token.flow is not None else None
            if interface is not None and interface.transport not in _WEB:
                return None
        away = self._elsewhere(binding, token, uri)
        if away is not None:
            return away
        flow = self._flow(binding, token)
        if binding is not None and (
            (not token.call and self._is_meant(binding, uri, flow)) or gruu.names(uri, binding)
        ):
            uri = binding.contact
        return Target(flow, token.key, uri)

    def _by_gruu(self, text: bytes) -> Target | None:
        """A node asks for one instance; of users of other domains nothing is known here."""
        uri = parse_uri(text)
        binding = gruu.find_instance(self._bindings, uri)
        if binding is not None:
            return Target(self._flow(binding, FlowToken(binding.key)), binding.key, binding.contact)
        if self._here.interface_of(uri) is not None:
            raise SipError("GRUU of an instance that is not registered", 480)  # RFC 5627 §5.1
        return None

    def _flow(self, binding: Binding | None, token: FlowToken) -> Flow:
        """The live flow: the binding's, which has moved with its agent, else the one in the token."""
        flow = token.flow if binding is None else binding.flow
        if not self._is_open(flow):
            raise FlowFailedError("flow failed", token.key)
        return flow  # type: ignore[return-value]  # None is not open

    def reaches(self, key: bytes) -> bool:
        """Whether an agent is bound here, on a flow that stands."""
        binding = self._bindings.get(key)
        return binding is not None and self._is_open(binding.flow)

    def _is_open(self, flow: Flow | None) -> bool:
        if flow is None or flow.interface not in self._here.interfaces:
            return False
        if flow.stream:
            return flow in self.connections
        return not self._here.interfaces[flow.interface].reliable

    # --- tokens for the route sets of dialogs

    def route_token(self, target: Target, call_id: bytes) -> bytes:
        """The token by which the far side's requests in this call reach the agent, wherever it is by then."""
        return self._tokens.seal(FlowToken(target.key, target.flow, call=digest_of(call_id)))

    def way_back(self, request: Request, flow: Flow) -> bytes:
        """As ``route_token``, for the agent that a request came from; empty where its Contact is the way.

        RFC 5626 §5.2: for the first hop alone, for others keep their flows themselves. An agent that has
        registered nothing needs one where it can't be reached otherwise.
        """
        if request.count("via") != 1 or b"," in (request.get("via") or b""):
            return b""
        key = self.key_on(flow, request)
        if key == NO_KEY and not flow.stream:
            value = next(iter(request.values("contact")), b"")
            if not value or not is_elsewhere(parse_name_addr(value, "Contact").uri, flow):
                return b""
        return self._tokens.seal(FlowToken(key, flow, call=digest_of(request.call_id)))

    def reach(self, key: bytes, flow: Flow) -> Target:
        """As ``way``, with the edge to ask where the agent has moved to another one.

        Raises
        ------
        SipError
            430 where its flow is gone.
        """
        binding, token = self._bindings.get(key), FlowToken(key, flow)
        away = self._elsewhere(binding, token, b"")
        if (
            away is None
            and binding is None
            and self.peers is not None
            and (way := self.peers.way(key)) is not None
        ):
            away = Target(way, key, b"", (way,))  # over UDP, where nothing tells that it left
        return away or Target(self._flow(binding, token), key, b"")

    def way(self, key: bytes, flow: Flow) -> Flow:
        """Where an agent is reached now: by its binding, else as it was.

        Raises
        ------
        SipError
            430 where its flow is gone.
        """
        return self._flow(self._bindings.get(key), FlowToken(key, flow))

    def key_on(self, flow: Flow, request: Request) -> bytes:
        """The key of the caller's binding: the only one on this flow, else the one of the user in From."""
        bindings = self._bindings.on(flow)
        if len(bindings) > 1:
            try:
                aor = aor_of(request.from_.uri)
            except SipError:
                return NO_KEY
            bindings = [binding for binding in self._bindings.of(aor) if binding.flow == flow]
        return bindings[0].key if bindings else NO_KEY
