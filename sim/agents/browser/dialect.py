"""JsSIP's words: hosts that do not exist, the same headers in the same order, a new challenge for each request."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, ClassVar

from engine.boundary import NEVER, Flow
from engine.sip.message import Request, Response
from engine.ua.parts import Block, block, reply
from sim.agents.browser.config import BrowserConfig
from sim.agents.messages import uuid_text
from sim.agents.phones.dialect import Dialect
from sim.agents.phones.user import User

if TYPE_CHECKING:
    from sim.agents.phones import Phones

SESSION_EXPIRES_S = 90
_BASE_32 = "0123456789abcdefghijklmnopqrstuv"
_USER_AGENT = b"User-Agent: JsSIP 3.13.8"
_ALLOW = b"Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY,SUBSCRIBE"
_MAX_FORWARDS = b"Max-Forwards: 69"
_CONTENT_TYPE = b"Content-Type: application/sdp"
_SESSION_EXPIRES = b"Session-Expires: %d" % SESSION_EXPIRES_S
_SUPPORTED_IN_REGISTER = b"Supported: path,gruu,outbound"
_SUPPORTED_IN_INVITE = b"Supported: timer,ice,replaces,outbound"
_ADDRESSING = ["via", "max-forwards", "to", "from", "call-id", "cseq"]
_TAIL = ["allow", "supported", "user-agent"]


class JsSip(Dialect):
    """One page's JsSIP: its Contact and its Via's host are drawn when the page is loaded."""

    user_agent: ClassVar[bytes] = _USER_AGENT
    allow: ClassVar[bytes] = _ALLOW
    keeps_nonce: ClassVar[bool] = False
    heeds_uri: ClassVar[bool] = True
    opens_by_request: ClassVar[bool] = False

    def __init__(self, config: BrowserConfig, random: Random) -> None:
        super().__init__(random)
        self._config = config
        self._host = self._token(12) + b".invalid"  # RFC 7118 §5: a browser cannot know its address

    def note_source(self, request: Request, flow: Flow) -> Flow:
        return flow  # the Via stays as it is: the answer goes back on the connection

    def via_start(self, phones: Phones) -> bytes:
        protocol = phones.config.interface.transport.upper().encode()
        return b"Via: SIP/2.0/%b %b;branch=z9hG4bK" % (protocol, self._host)

    def user(self, phones: Phones, name: str) -> User:
        contact = b"sip:%b@%b;transport=ws" % (self._token(8), self._host)
        flow_params = b';+sip.ice;reg-id=1;+sip.instance="<urn:uuid:%b>"' % uuid_text(self._random)
        return Account(name, phones.uri_of(name), contact, flow_params)

    def refresh_after_s(self, phones: Phones, granted_s: float) -> float:
        granted_s = max(granted_s, 10.0)
        if self._config.refresh_share is not None:
            return granted_s * self._config.refresh_share
        if granted_s > 64.0:
            return granted_s / 2.0 + (granted_s / 2.0 - 32.0) * self._random.random()
        return granted_s - 5.0

    def retry_after_s(self, phones: Phones) -> float:
        return NEVER if self._config.retry_s is None else self._config.retry_s

    def _token(self, length: int) -> bytes:
        return "".join(self._random.choice(_BASE_32) for _ in range(length)).encode()


class Account(User):
    """The user of one page."""

    __slots__ = ("_flow_params", "_session_headers_in_call")

    def __init__(self, name: str, uri: bytes, contact: bytes, flow_params: bytes) -> None:
        super().__init__(name, uri, contact, _USER_AGENT)
        self._flow_params = flow_params
        self._session_headers_in_call = block(
            self._contact_line,
            _SESSION_EXPIRES + b";refresher=uas",
            _CONTENT_TYPE,
            _SUPPORTED_IN_INVITE,
            _USER_AGENT,
        )

    def invite(
        self, phones: Phones, to: str, call_id: str, tag: bytes, number: int, authorization: bytes, body: bytes
    ) -> Request:
        uri = phones.uri_of(to)
        extra = [b"Contact: <" + self.contact + b";ob>", _CONTENT_TYPE, _SESSION_EXPIRES]
        names = ["contact", "content-type", "session-expires"]
        return self._request(
            b"INVITE", uri, uri, phones, call_id, tag, number, authorization, Block(names, extra), body
        )

    def register(
        self, phones: Phones, call_id: str, tag: bytes, number: int, expires_s: int, authorization: bytes
    ) -> Request:
        contact = self._contact_line + self._flow_params + b";expires=%d" % expires_s
        extra = Block(["contact", "expires"], [contact, b"Expires: %d" % expires_s])
        return self._request(
            b"REGISTER", phones.registrar, self.uri, phones, call_id, tag, number, authorization, extra, b""
        )

    def session_reply(
        self, phones: Phones, request: Request, status: int, tag: bytes = b"", body: bytes = b""
    ) -> Response:
        if status < 200:
            return reply(request, status, tag, phones.ringing_headers(self._contact_line))
        return reply(request, status, tag, self._session_headers_in_call, body)

    def _request(
        self,
        method: bytes,
        uri: bytes,
        to: bytes,
        phones: Phones,
        call_id: str,
        tag: bytes,
        number: int,
        authorization: bytes,
        extra: Block,
        body: bytes,
    ) -> Request:
        names = list(_ADDRESSING)
        lines = [
            phones.via_line(),
            _MAX_FORWARDS,
            b"To: <" + to + b">",
            self._from_line + b";tag=" + tag,
            b"Call-ID: " + call_id.encode("latin-1"),
            b"CSeq: %d %b" % (number, method),
        ]
        if authorization:
            names.append(authorization[: authorization.index(b":")].lower().decode())
            lines.append(authorization)
        supported = _SUPPORTED_IN_REGISTER if method == b"REGISTER" else _SUPPORTED_IN_INVITE
        names += [*extra.names, *_TAIL, "content-length"]
        lines += [*extra.lines, _ALLOW, supported, _USER_AGENT, b"Content-Length: %d" % len(body)]
        return Request(method, uri, names, lines, body)
