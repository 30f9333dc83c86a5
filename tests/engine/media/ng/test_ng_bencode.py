"""Bencode: what is written is read back, and nothing that a stranger sends is more than a ``BencodeError``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.ng.bencode import BencodeError, Value, decode, decode_first, encode
from engine.media.ng.wire import NgStream, read_message, write_message


def test_text_is_as_the_protocol_has_it() -> None:
    content = {
        "command": "offer",
        "sdp": b"v=0\r\n",
        "flags": ["trust-address"],
        "codec": {"strip": ["all"]},
        "n": -3,
    }
    text = b"d7:command5:offer3:sdp5:v=0\r\n5:flagsl13:trust-addresse5:codecd5:stripl3:allee1:ni-3ee"
    assert encode(content) == text
    assert decode(text) == {
        b"command": b"offer",
        b"sdp": b"v=0\r\n",
        b"flags": [b"trust-address"],
        b"codec": {b"strip": [b"all"]},
        b"n": -3,
    }


VALUES: st.SearchStrategy[Value] = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def retold(value: Value) -> bytes:
    """As ``encode``, of what was read."""
    match value:
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%b" % (len(value), value)
        case list():
            return b"l" + b"".join(map(retold, value)) + b"e"
        case _:
            return b"d" + b"".join(retold(key) + retold(item) for key, item in value.items()) + b"e"


@given(VALUES)
def test_what_is_written_is_read_back(value: Value) -> None:
    assert decode(retold(value)) == value


@given(VALUES, st.data())
def test_a_beginning_is_told_from_nonsense(value: Value, data: st.DataObject) -> None:
    text = retold(value)
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(BencodeError) as caught:
        decode_first(text[:cut])
    assert caught.value.partial


@given(st.binary(max_size=200))
def test_any_octets_are_a_value_or_an_error(text: bytes) -> None:
    try:
        value, end = decode_first(text)
    except BencodeError:
        return
    assert decode_first(text[:end]) == (value, end)


@pytest.mark.parametrize(
    "text",
    [
        b"l" * 100_000,
        b"d" * 17,
        b"d1:a" * 40,
        b"l" + b"i0e" * 30_000 + b"e",
        b"i" + b"9" * 50_000,
        b"9" * 50_000 + b":",
        b"99999999999999999999:x",
        b"i--1e",
        b"ie",
        b"i1.5e",
        b"-1:",
        b"di1e1:ae",
        b"d1:ae",
        b"dlelee",
        b"i0ei0e",
        b"e",
        b"x",
        b"",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_too_much_or_no_bencode_is_refused(text: bytes) -> None:
    with pytest.raises(BencodeError):
        decode(text)


@pytest.mark.parametrize("data", [b"", b" d6:result4:ponge", b"cookie", b"c le", b"c 4:pong", b"c" * 65 + b" de"])
def test_a_datagram_without_cookie_or_dictionary_is_no_message(data: bytes) -> None:
    with pytest.raises(BencodeError):
        read_message(data)


def test_a_stream_is_cut_into_its_messages_wherever_its_pieces_end() -> None:
    text = write_message(b"one", {"result": "pong"}) + write_message(b"two", {"result": "ok", "sdp": "v=0 d e"})
    for size in range(1, len(text)):
        stream = NgStream(1_000)
        found = [message for at in range(0, len(text), size) for message in stream.feed(text[at : at + size])]
        assert [(message.cookie, message.text(b"sdp")) for message in found] == [
            (b"one", b""),
            (b"two", b"v=0 d e"),
        ]


@pytest.mark.parametrize("data", [b"c x", b"x" * 70, b" de", b"c 5000:" + b"x" * 2_000, b"c i1e"])
def test_a_stream_whose_boundary_is_lost_or_too_far_is_given_up(data: bytes) -> None:
    with pytest.raises(BencodeError):
        NgStream(1_000).feed(data)
