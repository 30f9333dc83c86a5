"""What the nodes are shown of an agent's contact, in each mode of the registrar."""

from __future__ import annotations

from typing import Final

from engine.boundary import Flow
from engine.config import RegistrarConfig
from engine.here import Here
from engine.registrar.request import Asked, written
from engine.registrar.tokens import FlowToken, Tokens
from engine.sip.uri import SipUri, host_port, parse_uri

_WEB: Final = (b"ws", b"wss")
# reg-id is between agent and edge: a node would hold the edge to RFC 5626. GRUUs are the edge's own business too.
_OURS: Final = (b"expires", b"reg-id", b"pub-gruu", b"temp-gruu")


class Facing:
    """Writes contacts as the nodes are to store them.

    ``contact``: this edge, with a token for the user. ``path``: the agent's own, and this edge as Path (RFC 3327).
    ``direct``: the address that the agent sends from.
    """

    __slots__ = ("_here", "_tokens", "config")

    def __init__(self, config: RegistrarConfig, here: Here, tokens: Tokens) -> None:
        self.config = config
        self._here = here
        self._tokens = tokens

    def uri(self, asked: Asked, flow: Flow, interface: str) -> bytes:
        """The Contact URI for a node that is reached by ``interface``."""
        if self.config.mode == "contact":
            return self._here.uri(interface, self._token(asked, flow))
        return self.shown(asked.address.uri, flow)

    def shown(self, contact: bytes, flow: Flow) -> bytes:
        """What a Contact URI of an agent on this flow becomes in the modes that leave it an address."""
        uri = parse_uri(contact)
        params = uri.params
        if self.config.strip_transport and params.get(b"transport") in _WEB:
            params = {name: value for name, value in params.items() if name != b"transport"}
        elif self.config.mode == "path":
            return contact
        host, port = uri.host, uri.port
        if self.config.mode == "direct":
            host, port = host_port(flow.peer[0], flow.peer[1]).rpartition(b":")[0], flow.peer[1]
        return bytes(SipUri(uri.scheme, uri.user, uri.password, host, port, params, uri.headers))

    def value(self, asked: Asked, uri: bytes, expires_s: int) -> bytes:
        """The whole Contact value for a node."""
        return written(asked.address, uri, _OURS) + b";expires=%d" % expires_s

    def path(self, asked: Asked, flow: Flow, interface: str, outbound: bool) -> bytes:
        """The Path value for a node that is reached by ``interface``; ``ob`` says that the flow is kept."""
        end = b";lr;ob>" if outbound else b";lr>"  # RFC 5626 §5.1
        return b"<" + self._here.uri(interface, self._token(asked, flow)) + end

    def _token(self, asked: Asked, flow: Flow) -> bytes:
        """The token of a contact.

        A datagram flow is told, so that calls arrive when this edge was started anew. A connection would be gone
        then; without it the token stays the same when the agent connects again, and no node takes it for another
        contact.
        """
        if flow.stream:
            return self._tokens.seal(FlowToken(asked.key))
        return self._tokens.seal(FlowToken(asked.key, flow, asked.address.uri))

    def node_expires_s(self, agent_s: int) -> int:
        """What the nodes are asked for, for what an agent asks for."""
        if not agent_s:
            return 0
        config = self.config
        return min(max(agent_s, config.node_min_expires_s), config.node_max_expires_s)
