"""Messages as a peer would write them, each line as the test wants it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.sip.framing import parse_datagram
from engine.sip.message import Request, Response

Lines = Mapping[str, bytes | None]

USUAL: Lines = MappingProxyType(
    {
        "via": b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport",
        "max-forwards": b"Max-Forwards: 70",
        "to": b'To: "Bob" <sip:bob@biloxi.example.com>',
        "from": b'From: "Alice" <sip:alice@atlanta.example.com>;tag=1928301774',
        "call-id": b"Call-ID: a84b4c76e66710@pc33.atlanta.example.com",
        "cseq": b"CSeq: 314159 INVITE",
        "contact": b"Contact: <sip:alice@192.0.2.1>",
    }
)
NOTHING: Lines = MappingProxyType({})
INVITE = b"INVITE sip:bob@biloxi.example.com SIP/2.0"


def head(*more: bytes, start: bytes = INVITE, but: Lines = NOTHING) -> bytes:
    """Start line and headers, ended: the usual lines, ``but`` some otherwise or (None) left out, and more."""
    lines = {**USUAL, **but}.values()
    return b"\r\n".join([start, *(line for line in lines if line is not None), *more, b"", b""])


def request(*more: bytes, start: bytes = INVITE, but: Lines = NOTHING, body: bytes = b"") -> Request:
    """A request out of one datagram, with this body and its Content-Length."""
    message = parse_datagram(head(*more, b"Content-Length: %d" % len(body), start=start, but=but) + body)
    assert isinstance(message, Request)
    return message


def response(*more: bytes, status: bytes = b"180 Ringing", but: Lines = NOTHING) -> Response:
    """A response out of one datagram."""
    message = parse_datagram(head(*more, b"Content-Length: 0", start=b"SIP/2.0 " + status, but=but))
    assert isinstance(message, Response)
    return message
