"""The copy of a request that is sent on (RFC 3261 §16.6), and what is noted in it on arrival."""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

from engine.boundary import Flow
from engine.here import DEFAULT_PORTS, Here
from engine.nat import is_private
from engine.sip.errors import SipError
from engine.sip.headers import MAGIC_COOKIE, parse_number, parse_via
from engine.sip.message import Request

_COMMA: Final = 0x2C  # looking for an octet's number in bytes costs a tenth of looking for bytes in bytes
_COUNTED_DOWN: Final = [b"Max-Forwards: %d" % (hops - 1) for hops in range(256)]
_ROUTING: Final = ("route", "proxy-require", "proxy-authorization")
_DEFAULT_BREADTH: Final = 60  # RFC 5393 §5.3.3
_RPORT: Final = re.compile(rb";[ \t]*rport[ \t]*(?=;|$)", re.IGNORECASE)


def note_source(request: Request, flow: Flow) -> Flow:
    """Write ``received`` and ``rport`` into the top Via; the result is the way for the responses.

    RFC 3261 §18.2.1 and RFC 3581: a client that asks by ``rport`` gets its responses at the very port that it
    sent from, any other at the port that it wrote - but for one that wrote a private address and came from a
    public one: its NAT has chosen that port, and no other leads to it.
    """
    via = request.via
    host, port = flow.peer
    params = via.params
    asked = b"rport" in params
    sent_by = host if asked else via.host.decode("ascii").strip("[]").lower()
    if asked or sent_by != host:
        value = request.first("via")
        if asked and params[b"rport"] is None:
            params[b"rport"] = digits = b"%d" % port
            if value.endswith(b";rport"):
                value += b"=" + digits
            else:
                value = _RPORT.sub(b";rport=" + digits, value, count=1)
        if b"received" not in params:
            params[b"received"] = received = host.encode("ascii", "replace")
            value += b";received=" + received
        request.replace_top_via(value, via)
    if asked or flow.stream or (sent_by != host and is_private(sent_by) and not is_private(host)):
        return flow
    return Flow(flow.interface, (host, via.port or DEFAULT_PORTS["udp"]))


def loop_key(request: Request) -> int:
    """A number over what decides where the request goes (RFC 5393 §4.2.1)."""
    key = crc32(request.uri)
    for name in _ROUTING:
        if request.has(name):
            key = crc32(b"\n".join(request.all(name)), key)
    return key


def check_loop(request: Request, here: Here, key: int) -> None:
    """Raise 482 where the request was here before and nothing that decides its way has changed since."""
    if request.count("via") == 1 and _COMMA not in (request.get("via") or b""):
        return
    mark = b".%08x" % key
    for value in request.values("via")[1:]:
        if mark in value:
            via = parse_via(value)
            if via.branch.endswith(mark) and here.sent_by(
                via.host.decode("ascii").strip("[]"), via.port, via.transport.decode("ascii")
            ):
                raise SipError("loop", 482)


def branch_of(token: bytes, key: int) -> bytes:
    """A Via branch: unguessable by its token, and bearing the number of ``loop_key``."""
    return MAGIC_COOKIE + token + b".%08x" % key


def breadth_of(request: Request, branches: int) -> int | None:
    """The Max-Breadth of each branch of a fork (RFC 5393 §5.3.3), None where it stays as it came."""
    if branches == 1 and not request.has("max-breadth"):
        return None
    value = request.get("max-breadth") or b""
    breadth = int(value) if value.isdigit() and len(value) < 10 else _DEFAULT_BREADTH
    if breadth < branches:
        raise SipError("Max-Breadth exceeded", 440)
    return breadth // branches if branches > 1 else None


def forward(request: Request, via_line: bytes) -> Request:
    """The copy to send on: Max-Forwards counted down, our Via on top. Routes and Record-Route are done before."""
    copy = request.copy()
    names, lines = copy.names, copy.lines
    try:
        index = names.index("max-forwards")
    except ValueError:
        names.append("max-forwards")
        lines.append(b"Max-Forwards: 70")
    else:
        lines[index] = _COUNTED_DOWN[parse_number(copy.get("max-forwards") or b"70", "Max-Forwards", 255)]
    names.insert(0, "via")
    lines.insert(0, via_line)
    return copy
