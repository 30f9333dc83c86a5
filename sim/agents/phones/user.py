"""One user: the header lines that bear the user's name, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.sip.message import Request, Response
from engine.ua.parts import block, reply

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones

_NAMES = ["via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "user-agent"]
_BODY_NAMES = ["content-type", "content-length"]
_SUPPORTED = b"Supported: path, gruu, outbound"
_CONTENT_TYPE = b"Content-Type: application/sdp"


class User:
    """A user of ``Phones``."""

    __slots__ = ("_contact_line", "_from_line", "_register_line", "_session_headers", "contact", "name", "uri")

    def __init__(self, name: str, uri: bytes, contact: bytes, user_agent: bytes, flow_params: bytes = b"") -> None:
        """``flow_params``: what Contact bears in a REGISTER alone, +sip.instance and reg-id (RFC 5626 §4.2)."""
        self.name = name
        self.uri = uri
        self.contact = contact
        self._from_line = b"From: <" + uri + b">"
        self._contact_line = b"Contact: <" + contact + b">"
        self._register_line = self._contact_line + flow_params
        self._session_headers = block(self._contact_line, user_agent, _CONTENT_TYPE)

    def invite(
        self, phones: Phones, to: str, call_id: str, tag: bytes, number: int, authorization: bytes, body: bytes
    ) -> Request:
        """An INVITE of this user; ``authorization`` is a whole header line, or empty."""
        uri = phones.uri_of(to)
        names = _NAMES + _BODY_NAMES
        lines = [
            phones.via_line(),
            b"Max-Forwards: 70",
            self._from_line + b";tag=" + tag,
            b"To: <" + uri + b">",
            b"Call-ID: " + call_id.encode("latin-1"),
            b"CSeq: %d INVITE" % number,
            self._contact_line,
            phones.user_agent.lines[0],
            _CONTENT_TYPE,
            b"Content-Length: %d" % len(body),
        ]
        if authorization:
            names.insert(-2, authorization[: authorization.index(b":")].lower().decode())
            lines.insert(-2, authorization)
        return Request(b"INVITE", uri, names, lines, body)

    def register(
        self, phones: Phones, call_id: str, tag: bytes, number: int, expires_s: int, authorization: bytes
    ) -> Request:
        """A REGISTER of this user's one contact; ``expires_s`` 0 withdraws it."""
        names = [*_NAMES, "expires"]
        lines = [
            phones.via_line(),
            b"Max-Forwards: 70",
            self._from_line + b";tag=" + tag,
            b"To: <" + self.uri + b">",
            b"Call-ID: " + call_id.encode("latin-1"),
            b"CSeq: %d REGISTER" % number,
            self._register_line,
            phones.user_agent.lines[0],
            b"Expires: %d" % expires_s,
        ]
        if phones.config.outbound:
            names.append("supported")
            lines.append(_SUPPORTED)
        if authorization:
            names.append(authorization[: authorization.index(b":")].lower().decode())
            lines.append(authorization)
        names.append("content-length")
        lines.append(b"Content-Length: 0")
        return Request(b"REGISTER", phones.registrar, names, lines)

    @property
    def contact_line(self) -> bytes:
        return self._contact_line

    def session_reply(
        self, phones: Phones, request: Request, status: int, tag: bytes = b"", body: bytes = b""
    ) -> Response:
        """A response with Contact and, where there is one, a session description."""
        headers = self._session_headers if body else phones.ringing_headers(self._contact_line)
        return reply(request, status, tag, headers, body)
