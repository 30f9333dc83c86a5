"""No crafted message takes long: time grows with its octets, not with their square."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from engine.sip.errors import SipError
from engine.sip.framing import StreamFramer, parse_datagram
from engine.sip.message import Request, respond
from engine.sip.uri import parse_uri
from engine.sip.validate import validate_request
from tests.engine.sip.written import head

OCTETS = 60_000  # as large as a datagram can be
# A pass over so many octets takes a few milliseconds, their square many seconds at the least.
LIMIT_S = 0.5

REPEATED = (
    b"<", b">", b'"', b'\\"', b'"\\', b'"a" ', b'"a",', b'<"', b"<sip:a@h>,", b",<", b",", b", ", b";", b";a",
    b";a=", b";a=b", b"; a = b ", b" ;", b" ", b"\t", b"\n", b"\r", b"\x00", b"\xff", b"a", b"a b ", b"1", b".",
    b":", b"=", b"%", b"%4", b"@", b"a@", b"/", b"[", b"[:", b"?", b"a=b&",
)  # fmt: skip
PREFIXES = (b"", b"sip:", b"<sip:a", b'"', b"SIP/2.0/UDP ", b"SIP/2.0/UDP h;branch=b", b"<sip:a@h>;x=", b"1 ")


def cpu_s(work: Callable[[], object]) -> float:
    """The processor's time for this, so that a busy machine does not count."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def use(data: bytes) -> None:
    """All that a proxy does to the headers of a message that it is given."""
    with suppress(SipError):
        message = parse_datagram(data)
        if isinstance(message, Request):
            with suppress(SipError):
                validate_request(message)
            for name in ("via", "route", "contact", "subject"):
                message.values(name)
            for name in ("via", "from_", "to", "cseq"):
                with suppress(SipError):
                    getattr(message, name)
            bytes(respond(message, 400, b"", b"tag"))
            message.pop_value("route")


def fill(prefix: bytes, repeated: bytes) -> bytes:
    return prefix + repeated * ((OCTETS - len(prefix)) // len(repeated))


@pytest.mark.parametrize(
    "name", ["Via", "From", "To", "Contact", "Route", "CSeq", "Call-ID", "Max-Forwards", "Subject"]
)
def test_a_long_value_is_read_in_one_pass(name: str) -> None:
    for prefix in PREFIXES:
        for repeated in REPEATED:
            line = name.encode() + b": " + fill(prefix, repeated)
            data = head(b"l: 0", but={name.lower(): line})
            assert cpu_s(partial(use, data)) < LIMIT_S, (prefix, repeated)


@pytest.mark.parametrize(
    "prefix", [b"sip:", b"sip:a", b"sip:a:", b"sip:a@h", b"sip:a@h;a", b"sip:a@h?", b"sip:[", b"t"]
)
def test_a_long_uri_is_read_in_one_pass(prefix: bytes) -> None:
    def read(uri: bytes) -> None:
        with suppress(SipError):
            parse_uri(uri)
        use(head(b"l: 0", start=b"INVITE " + uri + b" SIP/2.0"))

    for repeated in REPEATED:
        uri = fill(prefix, repeated)
        assert cpu_s(partial(read, uri)) < LIMIT_S, repeated


@pytest.mark.parametrize(
    "line", [b" " * 200, b"\t" * 230 + b"x", b" ,", b' "', b" <", b" ;a=b", b"X:", b"v:", b":", b"m: <sip:a@h>"]
)
def test_many_lines_or_folds_are_read_in_one_pass(line: bytes) -> None:
    lines = [line] * 250
    for name in ("subject", "route", "via", "contact", "to"):
        data = head(*lines, b"l: 0", but={name: name.encode() + b": x\r\n" + b"\r\n".join(lines)})
        assert cpu_s(partial(use, data)) < LIMIT_S


@pytest.mark.parametrize(
    "start", [b"A" * OCTETS, b" " * OCTETS, b"SIP/" * 15_000, b"INVITE " * 8_000, b"\r\n \r\n" * 12_000]
)
def test_a_long_start_line_is_read_in_one_pass(start: bytes) -> None:
    assert cpu_s(partial(use, start + b"\r\n\r\n")) < LIMIT_S


@pytest.mark.parametrize(
    "stream",
    [
        head(b"Content-Length: 60000") + b"x" * 60_000,
        b"INVITE sip:h SIP/2.0\r\nSubject: " + b"\r" * 60_000,
        b"\r\n" * 30_000,
        b"\n" * 60_000,
        head(b"l: 0") * 150,
    ],
    ids=["body", "head", "pings", "line feeds", "messages"],
)  # fmt: skip
def test_a_stream_that_drips_is_read_in_one_pass(stream: bytes) -> None:
    framer = StreamFramer()

    def drip() -> None:
        for octet in range(len(stream)):
            framer.feed(stream[octet : octet + 1])

    assert cpu_s(drip) < 4 * LIMIT_S  # each octet is a call
