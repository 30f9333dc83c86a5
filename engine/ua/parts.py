"""Building requests and responses from parts made once: an agent sends the same header lines in every call."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from engine.boundary import Address
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.layout import canonical_name
from engine.sip.message import REASONS, Message, Request, Response
from engine.sip.uri import parse_uri

DEFAULT_PORT: Final = 5060


class Block(NamedTuple):
    """Header lines that are written as they stand, with the canonical name of each."""

    names: list[str]
    lines: list[bytes]

    def __add__(self, other: object) -> Block:
        if not isinstance(other, Block):
            return NotImplemented
        return Block(self.names + other.names, self.lines + other.lines)


def block(*lines: bytes) -> Block:
    """A block of these header lines."""
    return Block([canonical_name(line[: line.index(b":")]) for line in lines], list(lines))


EMPTY: Final = Block([], [])
_TAG = re.compile(rb"[ \t]*;[ \t]*tag[ \t]*=[^;]*", re.IGNORECASE)
_COPIED = frozenset(("via", "record-route", "from", "call-id", "cseq"))


def reply(
    request: Request,
    status: int,
    to_tag: bytes = b"",
    headers: Block = EMPTY,
    body: bytes = b"",
    reason: bytes = b"",
) -> Response:
    """The response to a request: what RFC 3261 §8.2.6 and §12.1.1 have copied, then ``headers``."""
    names: list[str] = []
    lines: list[bytes] = []
    for name, line in zip(request.names, request.lines, strict=True):
        if name in _COPIED:
            names.append(name)
            lines.append(line)
        elif name == "to":
            names.append(name)
            lines.append(line + b";tag=" + to_tag if to_tag and not request.to.tag else line)
    names += headers.names
    lines += headers.lines
    names.append("content-length")
    lines.append(b"Content-Length: %d" % len(body))
    return Response(status, reason or REASONS.get(status, b"Unknown"), names, lines, body)


def line_of(message: Message, name: str) -> bytes:
    """The first header line of this name, as it stands; it must be there."""
    return message.lines[message.names.index(name)]


def address_of(uri: bytes) -> Address:
    """Where a request for this SIP URI is sent.

    Raises
    ------
    SipError
        Where it is no SIP URI.
    """
    parsed = parse_uri(uri)
    return (parsed.host_text, parsed.port or DEFAULT_PORT)


def untagged(value: bytes) -> bytes:
    """A value of From or To without its tag, which stands behind the URI (§20.20)."""
    end = value.rfind(b">") + 1
    return value[:end].strip() + _TAG.sub(b"", value[end:]).rstrip()


def contact_uri(message: Message) -> bytes:
    """The URI of the first Contact.

    Raises
    ------
    SipError
        Where there is none, or it cannot be read.
    """
    for value in message.values("contact"):
        return parse_name_addr(value, "Contact").uri
    raise SipError("Contact missing")
