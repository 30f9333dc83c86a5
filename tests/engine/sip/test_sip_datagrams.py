"""One datagram, one message (RFC 3261 §18.3)."""

from __future__ import annotations

import pytest

from engine.sip.errors import SipError
from engine.sip.framing import content_length, parse_datagram
from engine.sip.message import Request
from tests.engine.sip.written import head, request, response


def refusal(data: bytes) -> SipError | None:
    message = parse_datagram(data)
    assert isinstance(message, Request)
    return message.defect


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\r\n", b"\x00", b"\x00\x00\x00\x00", b" \t\r\n"])
def test_a_keepalive_is_no_message(data: bytes) -> None:
    assert parse_datagram(data) is None


def test_blank_lines_before_a_message_are_skipped() -> None:
    message = parse_datagram(b"\r\n\r\n" + head(b"l: 0"))
    assert message is not None
    assert bytes(message) == head(b"l: 0")


@pytest.mark.parametrize(
    ("lines", "body"), [((b"l: 3",), b"abc"), ((b"Content-Length : 003 ",), b"abcdef"), ((), b"abc")]
)
def test_the_body_ends_with_its_length_or_with_the_datagram(lines: tuple[bytes, ...], body: bytes) -> None:
    message = parse_datagram(head(*lines) + body)
    assert message is not None
    assert message.body == b"abc"


def test_a_body_may_hold_anything() -> None:
    body = b"\x00\r\n\r\nINVITE sip:b@h SIP/2.0\r\n\r\n\xff"
    assert request(body=body).body == body


def test_a_missing_blank_line_is_forgiven_where_the_last_header_is_whole() -> None:
    assert refusal(head(b"l: 0")[:-2]) is None
    assert refusal(head(b"l: 0")[:-4]) is not None
    assert refusal(head(b"l: 0", b"Subject: cut o")[:-6]) is not None


@pytest.mark.parametrize(
    "length", [b"4", b"9999", b"-1", b"-999", b"", b"x", b"3 3", b"3, 3", b"+3", b"0x3", b"3\x00", b"3\x0b",
    b"9" * 5_000]
)  # fmt: skip
def test_a_length_that_cannot_be_is_a_bad_request(length: bytes) -> None:
    error = refusal(head(b"Content-Length: " + length) + b"abc")
    assert error is not None
    assert error.status == 400
    with pytest.raises(SipError):
        parse_datagram(head(b"Content-Length: " + length, start=b"SIP/2.0 200 OK") + b"abc")


@pytest.mark.parametrize("second", [b"Content-Length: 3", b"l: 3", b"CONTENT-LENGTH  : 0"])
def test_two_lengths_are_refused_even_if_they_agree(second: bytes) -> None:
    assert refusal(head(b"Content-Length: 3", second) + b"abc") is not None


def test_a_message_may_not_have_more_header_lines_than_the_limit() -> None:
    lines = [b"X: %d" % number for number in range(20)]
    assert isinstance(parse_datagram(head(*lines), header_lines=30), Request)
    with pytest.raises(SipError, match="too many header lines"):
        parse_datagram(head(*lines), header_lines=20)
    with pytest.raises(SipError, match="too many header lines"):
        parse_datagram(head(b"X: " + b"\r\n ".join(lines)), header_lines=20)


def test_a_length_is_none_where_there_is_no_header_for_it() -> None:
    assert content_length(response(but={"contact": None})) == 0
    bare = parse_datagram(head())
    assert bare is not None
    assert content_length(bare) is None
