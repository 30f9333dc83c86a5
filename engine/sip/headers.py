"""The header fields that a proxy must understand: Via, name-addr (From, To, Contact, Route, ...), CSeq."""

from __future__ import annotations

import re
from typing import Final

from engine.sip.errors import SipError
from engine.sip.grammar import HOST, PARAMS, QUOTED, SWS, TOKEN, TOKEN_OCTETS, parse_params
from engine.sip.memory import remember

MAGIC_COOKIE: Final = b"z9hG4bK"  # RFC 3261 §8.1.1.7: the branch is unique, made by an RFC 3261 element

# sent-protocol LWS sent-by *( SEMI via-params )
# sent-protocol = protocol-name SLASH protocol-version SLASH transport
# Name and version may be any token: a request of another version is answered 505 along its Vias.
_VIA: Final = re.compile(
    TOKEN + SWS + rb"/" + SWS + TOKEN + SWS + rb"/" + SWS + rb"(" + TOKEN + rb")[ \t]++"
    rb"(" + HOST + rb")" + SWS + rb"(?::" + SWS + rb"([0-9]{1,5}))?" + SWS + rb"(" + PARAMS + rb")"
)
_SENT: Final = b"SIP/2.0/"
_HOST_OCTETS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT, display-name = *(token LWS) / quoted-string. UTF-8 without
# quotes is tolerated in a display name, a comma is not (RFC 4475 §3.1.2.15).
_NAME_ADDR: Final = re.compile(
    rb"("
    + QUOTED
    + rb"|[^\"<>,;:\\\x00-\x08\x0a-\x1f]*+)"
    + SWS
    + rb"<([^<>\"\x00-\x20\x7f]+)>"
    + SWS
    + rb"("
    + PARAMS
    + rb")"
)
_NOT_IN_ADDR: Final = bytes([*range(0x21), *b'<>"', 0x7F])
_DISPLAY_OCTETS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 "
_QUOTE_ENDS: Final = b'"\\' + bytes(range(0x20))
_PARAM_OCTETS: Final = TOKEN_OCTETS + b";="
_SEMICOLON: Final = 0x3B
_DQUOTE: Final = 0x22
# addr-spec alone: what follows ";" are parameters of the header, and no "?" or "," may stand in it (§20)
_ADDR_SPEC: Final = re.compile(
    rb"([A-Za-z][A-Za-z0-9+\-.]*:[^<>\";,?\x00-\x20\x7f]+)" + SWS + rb"(" + PARAMS + rb")"
)
_CSEQ: Final = re.compile(rb"([0-9]{1,16})[ \t]++(" + TOKEN + rb")")


class Via:
    """One Via value; ``params`` in lower case. ``port`` is None where the default of the transport is meant."""

    __slots__ = ("host", "params", "port", "transport")

    def __init__(self, transport: bytes, host: bytes, port: int | None, params: dict[bytes, bytes | None]) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.params = params

    @property
    def branch(self) -> bytes:
        """The branch parameter, empty where there is none."""
        return self.params.get(b"branch") or b""


class NameAddr:
    """A From, To, Contact, Route or Record-Route value; ``params`` are the header's, not the URI's."""

    __slots__ = ("display", "params", "tag", "uri")

    def __init__(self, display: bytes, uri: bytes, params: dict[bytes, bytes | None]) -> None:
        self.display = display
        self.uri = uri
        self.params = params
        self.tag = params.get(b"tag") or b""  # empty where there is none


class CSeq:
    """Sequence number and method."""

    __slots__ = ("method", "number")

    def __init__(self, number: int, method: bytes) -> None:
        self.number = number
        self.method = method


# By what was read: what stands in a Via before its parameters, name-addrs, CSeqs, and numbers.
_sent: Final[dict[bytes, tuple[bytes, bytes, int | None]]] = {}
_addrs: Final[dict[bytes, NameAddr]] = {}
_cseqs: Final[dict[bytes, CSeq]] = {}


def parse_via(value: bytes) -> Via:
    # The form that nearly all have: a branch, and before or behind it an empty rport.
    parts = value.split(b";")
    sent = _sent.get(parts[0]) or _read_sent(parts[0])
    if sent is not None and 2 <= len(parts) <= 3:
        branch = parts[1]
        asked = len(parts) == 3 and (parts[2] == b"rport" or branch == b"rport")
        if asked and branch == b"rport":
            branch = parts[2]
        token = branch[len(b"branch=") :]
        if (
            (asked or len(parts) == 2)
            and branch.startswith(b"branch=")
            and token
            and not token.translate(None, TOKEN_OCTETS)
        ):
            table: dict[bytes, bytes | None] = {b"branch": token}
            if asked:
                table[b"rport"] = None
            return Via(sent[0], sent[1], sent[2], table)
    match = _VIA.fullmatch(value)
    if match is None:
        raise SipError("malformed Via")
    transport, host, digits, text = match.groups()
    return Via(transport.upper(), host, _port(digits), parse_params(text))


def _read_sent(start: bytes) -> tuple[bytes, bytes, int | None] | None:
    """Transport, host and port of a Via of the usual form; None where it is of another one."""
    protocol, _, place = start.partition(b" ")
    transport = protocol[len(_SENT) :]
    host, colon, digits = place.partition(b":")
    if protocol[: len(_SENT)] != _SENT or not transport.isalpha() or not transport.isupper():
        return None
    if not host or host.translate(None, _HOST_OCTETS) or (colon and not (digits.isdigit() and len(digits) <= 5)):
        return None
    return remember(_sent, start, (transport, host, _port(digits if colon else None)))


def _port(digits: bytes | None) -> int | None:
    port = None if digits is None else int(digits)
    if port is not None and not 0 < port <= 65_535:
        raise SipError("malformed Via: port")
    return port


def parse_name_addr(value: bytes, name: str = "address") -> NameAddr:
    """Parse one name-addr or addr-spec with its parameters; ``name`` is the header's, for the error.

    The result is shared between calls: don't change its ``params``.
    """
    addr = _addrs.get(value)  # a call shows the same From and To in all its messages
    return remember(_addrs, value, _read_plain(value) or _read_name_addr(value, name)) if addr is None else addr


def is_bracketed(value: bytes) -> bool:
    """Whether this is an address in angle brackets and nothing else."""
    return (
        len(value) > 2
        and value[:1] == b"<"
        and value[-1:] == b">"
        and len(value.translate(None, _NOT_IN_ADDR)) == len(value) - 2
    )


def _read_plain(value: bytes) -> NameAddr | None:
    """An address in angle brackets with nothing unusual around it; None for any other.

    That is a display name without escapes, and parameters without quotes. A third of what the pattern costs.
    """
    start = value.find(b"<")
    end = value.find(b">", start)
    if start < 0 or end < 0:
        return None
    uri = value[start + 1 : end]
    if not uri or len(uri.translate(None, _NOT_IN_ADDR)) != len(uri):
        return None
    display = value[:start].strip(b" ") if start else b""
    if display and display.translate(None, _DISPLAY_OCTETS):
        inner = display[1:-1]
        if len(display) < 2 or display[0] != _DQUOTE or display[-1] != _DQUOTE:
            return None
        if len(inner.translate(None, _QUOTE_ENDS)) != len(inner):
            return None
    params = value[end + 1 :]
    table: dict[bytes, bytes | None] = {}
    if params:
        if params[0] != _SEMICOLON or params.translate(None, _PARAM_OCTETS):
            return None
        for param in params[1:].split(b";"):
            name, equal, text = param.partition(b"=")
            if not name or (equal and not text):
                return None
            table.setdefault(name.lower(), text if equal else None)
        if table.get(b"tag", b"") is None:
            return None
    return NameAddr(display, uri, table)


def _read_name_addr(value: bytes, name: str) -> NameAddr:
    match = _NAME_ADDR.fullmatch(value)
    if match is not None:
        display, uri, params = match.groups()
    else:
        match = _ADDR_SPEC.fullmatch(value)
        if match is None:
            raise SipError(f"malformed {name}")
        display, uri, params = b"", match[1], match[2]
    table = parse_params(params)
    if table.get(b"tag", b"") is None:
        raise SipError(f"malformed {name}: empty tag")  # tag-param = "tag" EQUAL token
    return NameAddr(display.strip(), uri, table)


def parse_cseq(value: bytes) -> CSeq:
    cseq = _cseqs.get(value)  # most are one of few, such as "1 INVITE"
    return remember(_cseqs, value, _read_cseq(value)) if cseq is None else cseq


def _read_cseq(value: bytes) -> CSeq:
    match = _CSEQ.fullmatch(value)
    if match is None:
        raise SipError("malformed CSeq")
    number = int(match[1])
    if number >= 2**31:
        raise SipError("CSeq number above 2^31-1")  # §8.1.1.5
    return CSeq(number, match[2])


_SMALL_NUMBERS: Final = {b"%d" % number: number for number in range(1024)}


def parse_number(value: bytes, name: str, largest: int) -> int:
    """A header that is one number without sign (Max-Forwards, Expires, Content-Length, ...)."""
    small = _SMALL_NUMBERS.get(value)
    if small is not None and small <= largest:
        return small
    if not value.isdigit() or len(value) > 20:  # isdigit() of bytes knows ASCII only
        raise SipError(f"malformed {name}")
    number = int(value)
    if number > largest:
        raise SipError(f"{name} above {largest}")
    return number
