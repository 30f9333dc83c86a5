"""How one kind of user agent words its messages and looks after its registration."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, ClassVar

from engine.boundary import Flow
from engine.proxy.forward import note_source
from engine.sip.message import Request
from engine.sip.uri import escape_user, host_port
from sim.agents.messages import uuid_text
from sim.agents.phones.user import User

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones

ALLOW = b"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY, MESSAGE"
USER_AGENT = b"User-Agent: siptwin phone"
_TRANSPORT = {"udp": b"", "tcp": b";transport=tcp", "tls": b";transport=tls"}


class Dialect:
    """A plain softphone's, after baresip."""

    user_agent: ClassVar[bytes] = USER_AGENT
    allow: ClassVar[bytes] = ALLOW
    keeps_nonce: ClassVar[bool] = True  # refreshes are sent with the credentials of the last challenge
    heeds_uri: ClassVar[bool] = False  # each request is looked at for whom it is meant, those in a dialog too
    opens_by_request: ClassVar[bool] = True  # without a connection to the server, the next request opens one

    def __init__(self, random: Random) -> None:
        self._random = random

    def note_source(self, request: Request, flow: Flow) -> Flow:
        """What is done to the top Via of a request that came; the result is the way for the responses."""
        return note_source(request, flow)

    def via_start(self, phones: Phones) -> bytes:
        """A Via up to its branch."""
        interface = phones.config.interface
        sent_by = host_port(interface.public_host, interface.public_port)
        return b"Via: SIP/2.0/%b %b;rport;branch=z9hG4bK" % (interface.transport.upper().encode(), sent_by)

    def user(self, phones: Phones, name: str) -> User:
        """A user with the Contact that this client gives it."""
        interface = phones.config.interface
        sent_by = host_port(interface.public_host, interface.public_port)
        # RFC 7118 §5: there is one name for both kinds of WebSocket
        transport = _TRANSPORT.get(interface.transport, b";transport=ws")
        contact = b"sip:%b@%b%b" % (escape_user(name.encode()), sent_by, transport)
        flow_params = b""
        if phones.config.outbound:
            flow_params = b';+sip.instance="<urn:uuid:%b>";reg-id=1' % uuid_text(self._random)
        return User(name, phones.uri_of(name), contact, self.user_agent, flow_params)

    def refresh_after_s(self, phones: Phones, granted_s: float) -> float:
        """How long after its grant a registration is refreshed."""
        return max(granted_s * phones.config.refresh_share, 1.0)

    def retry_after_s(self, phones: Phones) -> float:
        """How long after a failure another attempt is made; NEVER: none is."""
        return phones.config.retry_s
