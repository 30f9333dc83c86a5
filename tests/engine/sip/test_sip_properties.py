"""What holds for every message, and for anything at all that is no message."""

from __future__ import annotations

import re
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from engine.sip.errors import SipError
from engine.sip.framing import BoundaryLostError, StreamFramer, parse_datagram
from engine.sip.grammar import parse_params, split_commas
from engine.sip.headers import parse_cseq, parse_name_addr, parse_via
from engine.sip.message import Message, Request, Response, respond
from engine.sip.uri import parse_uri
from engine.sip.validate import validate_request, validate_response
from tests.engine.sip.written_at_random import Written, addresses, calm, damaged, messages, vias

FOLD = re.compile(rb"\r\n(?=[ \t])")


def read(octets: bytes) -> Request | Response:
    message = parse_datagram(octets)
    assert message is not None
    return message


def check(message: Request | Response) -> None:
    if isinstance(message, Request):
        validate_request(message)
    else:
        validate_response(message)


def blanks_as_one(value: bytes) -> bytes:
    return b" ".join(value.split())


@calm
@given(messages())
def test_a_well_formed_message_is_fit_and_written_as_it_was_read(written: Written) -> None:
    message = read(written.octets)
    check(message)
    assert bytes(message) == written.octets
    assert bytes(message.copy()) == written.octets


@calm
@given(messages())
def test_each_header_has_the_values_that_were_written(written: Written) -> None:
    message = read(written.octets)
    for name, values in written.values.items():
        expected = [blanks_as_one(value) for value in values]
        assert [blanks_as_one(value) for value in message.all(name) if name == "subject"] in ([], expected)
        if name != "subject":  # the only one here that is no list and may be empty
            assert [blanks_as_one(value) for value in message.values(name)] == expected
    assert message.body == written.body


@calm
@given(messages())
def test_a_stream_gives_the_same_message(written: Written) -> None:
    (message,) = StreamFramer().feed(written.octets)
    assert bytes(message) == written.octets


@calm
@given(messages(), st.sampled_from(["via", "route", "contact", "subject", "x-new"]), addresses())
def test_a_change_touches_only_lines_of_its_name(written: Written, name: str, value: bytes) -> None:
    line = name.encode() + b": " + value

    def others(message: Message) -> list[bytes]:
        return [line for known, line in zip(message.names, message.lines, strict=True) if known != name]

    before = read(written.octets)
    values = before.values(name)
    for change, after in (
        (Message.set, 1),
        (Message.add_first, len(values) + 1),
        (Message.append, len(values) + 1),
    ):
        message = read(written.octets)
        change(message, name, line)
        assert others(message) == others(before)
        assert len(message.values(name)) == after
        assert len(message.names) == len(message.lines)
    message = read(written.octets)
    message.pop_value(name)
    assert (others(message), message.values(name)) == (others(before), values[1:])
    message.remove(name)
    assert (others(message), message.values(name)) == (others(before), [])


@calm
@given(messages(), vias())
def test_replacing_the_top_via_leaves_all_else(written: Written, via: bytes) -> None:
    before, message = read(written.octets), read(written.octets)
    message.replace_top_via(via)
    assert message.values("via")[1:] == before.values("via")[1:]
    read_anew = parse_via(FOLD.sub(b"", via))
    assert (message.via.host, message.via.port) == (read_anew.host, read_anew.port)
    assert (message.via.transport, message.via.params) == (read_anew.transport, read_anew.params)
    changed = [pair for pair in zip(before.lines, message.lines, strict=True) if pair[0] != pair[1]]
    assert len(changed) <= 1


@calm
@given(st.one_of(damaged(), st.binary(), st.binary().map(lambda tail: b"INVITE sip:h SIP/2.0\r\n" + tail)))
def test_anything_at_all_is_a_message_or_a_sip_error(octets: bytes) -> None:
    message: Request | Response | None = None
    with suppress(SipError):
        message = parse_datagram(octets)
    if message is None:
        return
    fit = False
    with suppress(SipError):
        check(message)
        fit = True
    if fit:  # then whoever works on it meets no error
        _ = message.via, message.from_.tag, message.to.tag, message.cseq, message.call_id
        assert isinstance(message, Response) or parse_uri(message.uri)
    if isinstance(message, Request):
        answer = respond(message, 400, b"", b"tag")
        assert answer.count("via") == message.count("via")
        assert not fit or isinstance(read(bytes(answer)), Response)
    for name in ("route", "via", "contact"):
        left = len(message.values(name))
        while left:
            message.pop_value(name)
            assert len(message.values(name)) == left - 1
            left -= 1


@calm
@given(st.lists(st.one_of(damaged(), st.binary(max_size=60)), max_size=4))
def test_anything_at_all_is_a_stream_or_a_lost_boundary(pieces: list[bytes]) -> None:
    framer = StreamFramer(message_bytes=2_000)
    with suppress(BoundaryLostError):
        for piece in pieces:
            for message in framer.feed(piece):
                bytes(message)


@calm
@given(st.one_of(st.binary(), st.text(alphabet='sip:@[]<>;,="\\ \t%/.2.0UDPtag1a', max_size=60).map(str.encode)))
def test_any_value_is_read_or_is_a_sip_error(value: bytes) -> None:
    for parse in (parse_via, parse_name_addr, parse_cseq, parse_uri):
        with suppress(SipError):
            parse(value)
    parse_params(value)
    list(split_commas(value))
