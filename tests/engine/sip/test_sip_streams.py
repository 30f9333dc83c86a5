"""A stream of octets cut into messages (RFC 3261 §18.3, RFC 5626 §3.5.1)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.framing import BoundaryLostError, StreamFramer
from tests.engine.sip.written import head
from tests.engine.sip.written_at_random import calm

BODY = b"v=0\r\n\r\nINVITE sip:hidden@h SIP/2.0\r\n\r\n"
MESSAGES = (
    head(b"l: 0"),
    head(b"Content-Length: %d" % len(BODY)) + BODY,
    head(b"Subject: a\r\n b", b"Content-Length  :  0001", start=b"SIP/2.0 200 OK") + b"x",
    head(b"l: 4", start=b"MESSAGE sip:h SIP/2.0") + b"\r\n\r\n",
    head(b"l: 0", start=b"INVITE  sip:bad  SIP/2.0"),
)


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    """The stream in pieces that end at these octets."""
    ends = [0, *sorted(min(end, len(stream)) for end in at), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(ends)]


def outcome(pieces: list[bytes], framer: StreamFramer) -> tuple[list[bytes], str, int]:
    """What comes of the pieces: messages, the error that ends the connection if one does, pongs owed."""
    messages: list[bytes] = []
    try:
        for piece in pieces:
            messages += [bytes(message) for message in framer.feed(piece)]
    except BoundaryLostError as error:
        messages += [bytes(message) for message in error.messages]
        return messages, error.why, framer.pongs_due
    return messages, "", framer.pongs_due


def test_messages_back_to_back_come_out_one_by_one() -> None:
    framer = StreamFramer()
    found = framer.feed(b"".join(MESSAGES[:4]))
    assert [bytes(message) for message in found] == list(MESSAGES[:4])
    assert framer.feed(b"") == []


@calm
@given(
    st.lists(st.sampled_from([*MESSAGES, b"\r\n", b"\r\n\r\n", b"\r", b"\n"]), max_size=8),
    st.lists(st.integers(0, 4_000), max_size=12),
)
def test_however_a_stream_is_cut_the_messages_are_the_same(parts: list[bytes], at: list[int]) -> None:
    stream = b"".join(parts)
    whole = outcome([stream], StreamFramer())
    assert outcome(cut(stream, at), StreamFramer()) == whole
    assert len(whole[0]) == sum(part in MESSAGES for part in parts)
    assert whole[1] == ""


@calm
@given(
    st.lists(
        st.one_of(st.sampled_from([*MESSAGES, b"l: 1\r\n", b"\r\n\r\n"]), st.binary(max_size=20)), max_size=6
    ),
    st.lists(st.integers(0, 2_000), max_size=12),
)
def test_however_a_broken_stream_is_cut_it_breaks_at_the_same_message(parts: list[bytes], at: list[int]) -> None:
    stream = b"".join(parts)
    assert outcome(cut(stream, at), StreamFramer(600)) == outcome([stream], StreamFramer(600))


def test_octet_by_octet_is_a_way_to_cut_a_stream() -> None:
    stream = b"\r\n\r\n".join(MESSAGES)
    assert outcome([bytes((octet,)) for octet in stream], StreamFramer()) == outcome([stream], StreamFramer())


# --- keep-alives


@pytest.mark.parametrize(
    ("pieces", "pongs"),
    [
        ([b"\r\n\r\n"], 1),
        ([b"\r\n", b"\r\n"], 1),
        ([b"\r", b"\n", b"\r", b"\n"], 1),
        ([b"\r\n\r\n\r\n\r\n"], 2),
        ([b"\r\n\r\n\r\n"], 1),
        ([b"\r\n"], 0),
        ([b"\r\n", MESSAGES[0], b"\r\n"], 0),
        ([MESSAGES[0] + b"\r\n\r\n" + MESSAGES[1]], 1),
    ],
)
def test_each_ping_is_owed_a_pong(pieces: list[bytes], pongs: int) -> None:
    assert outcome(pieces, StreamFramer())[1:] == ("", pongs)


# --- limits


def test_a_head_that_never_ends_is_bounded() -> None:
    framer = StreamFramer(message_bytes=1_000)
    framer.feed(b"INVITE sip:h SIP/2.0\r\n" + b"x" * 900)
    with pytest.raises(BoundaryLostError) as raised:
        framer.feed(b"x" * 100)
    assert raised.value.status == 513


def test_a_body_larger_than_the_limit_is_refused_before_it_comes() -> None:
    with pytest.raises(BoundaryLostError) as raised:
        StreamFramer(message_bytes=1_000).feed(MESSAGES[0] + head(b"l: 1000"))
    assert (raised.value.status, [bytes(message) for message in raised.value.messages]) == (513, [MESSAGES[0]])
    assert raised.value.culprit is not None


def test_a_message_of_just_the_limit_passes() -> None:
    text = head(b"l: 3") + b"abc"
    assert len(StreamFramer(message_bytes=len(text)).feed(text)) == 1
    with pytest.raises(BoundaryLostError):
        StreamFramer(message_bytes=len(text) - 1).feed(text)


# --- smuggling: where two readers could see different messages, the connection ends (bad input, row 4)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"Content-Length: -999",),
        (b"Content-Length: +1",),
        (b"Content-Length: 1 1",),
        (b"Content-Length: 0x1",),
        (b"Content-Length: 1\x0b",),
        (b"Content-Length: 4294967297",),
        (b"Content-Length: 18446744073709551617",),
        (b"Content-Length: " + b"9" * 5_000,),
        (b"Content-Length: 0", b"l: 1"),
        (b"Content-Length: 1", b"Content-Length: 1"),
        (b"Content-Length\x00: 0",),
        (b"Content-Length 0",),
        (b"Subject: x\nContent-Length: 0",),
        (b"X-Content-Length: 0",),
    ],
)
def test_a_length_that_is_not_beyond_doubt_ends_the_connection(lines: tuple[bytes, ...]) -> None:
    framer = StreamFramer()
    with pytest.raises(BoundaryLostError) as raised:
        framer.feed(MESSAGES[0] + head(*lines) + head(b"l: 0", start=b"INVITE sip:smuggled@h SIP/2.0"))
    assert [bytes(message) for message in raised.value.messages] == [MESSAGES[0]]
    assert raised.value.culprit is not None  # it can be told why


@pytest.mark.parametrize(
    "stream", [b"garbage\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"]
)
def test_another_protocol_ends_the_connection(stream: bytes) -> None:
    with pytest.raises(BoundaryLostError) as raised:
        StreamFramer().feed(stream)
    assert (raised.value.culprit, raised.value.messages) == (None, [])


def test_a_message_that_is_merely_wrong_does_not_end_the_connection() -> None:
    wrong = head(b"No colon", b"l: 0")
    assert len(StreamFramer().feed(wrong + MESSAGES[4] + MESSAGES[0])) == 3
