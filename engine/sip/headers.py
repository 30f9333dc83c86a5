"""The header fields that a proxy must understand: Via, name-addr (From, To, Contact, Route, ...), CSeq."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.sip.errors import SipError
from engine.sip.grammar import HOST, PARAMS, QUOTED, SWS, TOKEN, parse_params

MAGIC_COOKIE = b"z9hG4bK"  # RFC 3261 §8.1.1.7: the branch is unique, made by an RFC 3261 element

# sent-protocol LWS sent-by *( SEMI via-params ); sent-protocol = "SIP" SLASH "2.0" SLASH transport
_VIA = re.compile(
    rb"(?i:SIP)" + SWS + rb"/" + SWS + rb"2\.0" + SWS + rb"/" + SWS + rb"(" + TOKEN + rb")[ \t]++"
    rb"(" + HOST + rb")" + SWS + rb"(?::" + SWS + rb"([0-9]{1,5}))?" + SWS + rb"(" + PARAMS + rb")"
)
# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT, display-name = *(token LWS) / quoted-string. UTF-8 without
# quotes is tolerated in a display name, a comma is not (RFC 4475 §3.1.2.15).
_NAME_ADDR = re.compile(
    rb"("
    + QUOTED
    + rb"|[^\"<>,;:\\\x00-\x08\x0a-\x1f]*+)"
    + SWS
    + rb"<([^<> \t\"]+)>"
    + SWS
    + rb"("
    + PARAMS
    + rb")"
)
# addr-spec alone: what follows ";" are parameters of the header, and no "?" or "," may stand in it (§20)
_ADDR_SPEC = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*:[^<> \t\";,?]+)" + SWS + rb"(" + PARAMS + rb")")
_CSEQ = re.compile(rb"([0-9]{1,16})[ \t]++(" + TOKEN + rb")")


class Via(NamedTuple):
    """One Via value; ``params`` in lower case. ``port`` is None where the default of the transport is meant."""

    transport: bytes
    host: bytes
    port: int | None
    params: dict[bytes, bytes | None]

    @property
    def branch(self) -> bytes:
        """The branch parameter, empty where there is none."""
        return self.params.get(b"branch") or b""


class NameAddr(NamedTuple):
    """A From, To, Contact, Route or Record-Route value; ``params`` are the header's, not the URI's."""

    display: bytes
    uri: bytes
    params: dict[bytes, bytes | None]

    @property
    def tag(self) -> bytes:
        """The tag parameter, empty where there is none."""
        return self.params.get(b"tag") or b""


class CSeq(NamedTuple):
    """Sequence number and method."""

    number: int
    method: bytes


def parse_via(value: bytes) -> Via:
    match = _VIA.fullmatch(value)
    if match is None:
        raise SipError("malformed Via")
    transport, host, port, params = match.groups()
    if port is not None and not 0 < int(port) <= 65_535:
        raise SipError("malformed Via: port")
    return Via(transport.upper(), host, int(port) if port else None, parse_params(params))


def parse_name_addr(value: bytes, name: str = "address") -> NameAddr:
    """Parse one name-addr or addr-spec with its parameters; ``name`` is the header's, for the error."""
    match = _NAME_ADDR.fullmatch(value)
    if match is not None:
        display, uri, params = match.groups()
        return NameAddr(display.strip(), uri, parse_params(params) if params else {})
    match = _ADDR_SPEC.fullmatch(value)
    if match is None:
        raise SipError(f"malformed {name}")
    return NameAddr(b"", match[1], parse_params(match[2]) if match[2] else {})


def parse_cseq(value: bytes) -> CSeq:
    match = _CSEQ.fullmatch(value)
    if match is None:
        raise SipError("malformed CSeq")
    number = int(match[1])
    if number >= 2**31:
        raise SipError("CSeq number above 2^31-1")  # §8.1.1.5
    return CSeq(number, match[2])


def parse_number(value: bytes, name: str, largest: int) -> int:
    """A header that is one number without sign (Max-Forwards, Expires, Content-Length, ...)."""
    if not value.isdigit() or len(value) > 20:
        raise SipError(f"malformed {name}")
    number = int(value)
    if number > largest:
        raise SipError(f"{name} above {largest}")
    return number
