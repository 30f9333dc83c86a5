"""Via, name-addr and CSeq (RFC 3261 §20, §25.1): the usual shapes, the odd ones, and those refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.errors import SipError
from engine.sip.headers import (
    _read_name_addr,
    _read_plain,
    is_bracketed,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_via,
)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"SIP/2.0/UDP h", (b"UDP", b"h", None, {})),
        (b"SIP/2.0/UDP h:5060;branch=z9hG4bK1", (b"UDP", b"h", 5060, {b"branch": b"z9hG4bK1"})),
        (b"SIP/2.0/TCP h;branch=b;rport", (b"TCP", b"h", None, {b"branch": b"b", b"rport": None})),
        (b"SIP/2.0/UDP h;rport;branch=b", (b"UDP", b"h", None, {b"branch": b"b", b"rport": None})),
        (b"SIP/2.0/UDP h;rport=1;branch=b", (b"UDP", b"h", None, {b"rport": b"1", b"branch": b"b"})),
        (b"SIP/2.0/udp h;BRANCH=B", (b"UDP", b"h", None, {b"branch": b"B"})),
        (b"SIP  / 2.0  / TCP     h   ;  branch  =   b  ", (b"TCP", b"h", None, {b"branch": b"b"})),
        (b"SIP/2.0/UDP h : 5070 ;x", (b"UDP", b"h", 5070, {b"x": None})),
        (b"SIP/2.0/UDP [2001:db8::9:1]:6050;branch=b", (b"UDP", b"[2001:db8::9:1]", 6050, {b"branch": b"b"})),
        (b"SIP/2.0/UDP h;received=[::1]", (b"UDP", b"h", None, {b"received": b"[::1]"})),
        (b"SIP/2.0/UDP h;received=2001:db8::1", (b"UDP", b"h", None, {b"received": b"2001:db8::1"})),
        (b'SIP/2.0/UDP h;x="a;y=1";branch=b', (b"UDP", b"h", None, {b"x": b'"a;y=1"', b"branch": b"b"})),
        (b"SIP/2.0/UNKNOWN h;branch=b", (b"UNKNOWN", b"h", None, {b"branch": b"b"})),
        (b"SIP/7.0/UDP h;branch=b", (b"UDP", b"h", None, {b"branch": b"b"})),
    ],
)  # fmt: skip
def test_the_parts_of_a_via(value: bytes, parts: tuple[object, ...]) -> None:
    via = parse_via(value)
    assert (via.transport, via.host, via.port, via.params) == parts


@given(st.from_regex(rb"[\"a \\\\,]{0,4}<[sip:a@h \"]{1,6}>[;=tag\"\\[ ,]{0,8}", fullmatch=True))
def test_the_short_way_reads_an_address_as_the_grammar_does(value: bytes) -> None:
    plain = _read_plain(value)
    if plain is not None:
        slow = _read_name_addr(value, "To")
        assert (plain.display, plain.uri, plain.params) == (slow.display, slow.uri, slow.params)


@given(st.from_regex(rb"[\"a]{0,2}<[a@h \"<>]{0,6}>[;=t]{0,2}", fullmatch=True))
def test_an_address_is_bracketed_where_nothing_stands_around_it(value: bytes) -> None:
    alone = re.fullmatch(rb"<[^<>\"\x00-\x20\x7f]+>", value) is not None
    assert is_bracketed(value) == alone


@pytest.mark.parametrize(
    "value",
    [
        b"", b"h", b"SIP/2.0 h", b"SIP/2.0/UDP", b"SIP/2.0/UDP ", b"SIP/2.0/UDPh", b"SIP/2.0/UDP h:",
        b"SIP/2.0/UDP h:0", b"SIP/2.0/UDP h:65536", b"SIP/2.0/UDP h:0;branch=b", b"SIP/2.0/UDP h:x",
        b"SIP/2.0/UDP h;;branch=b", b"SIP/2.0/UDP h;branch=", b"SIP/2.0/UDP h;", b"SIP/2.0/UDP h i;branch=b",
        b"SIP/2.0/UDP 2001:db8::1", b"SIP/2.0/UDP [2001:db8::1;branch=b", b"SIP/2.0/UDP h;branch=b\x00",
        b'SIP/2.0/UDP h;x="a', b";;,;,,",
    ],
)  # fmt: skip
def test_a_malformed_via_is_refused(value: bytes) -> None:
    with pytest.raises(SipError, match="malformed Via"):
        parse_via(value)


def test_a_via_without_branch_has_an_empty_one() -> None:
    assert (parse_via(b"SIP/2.0/UDP h").branch, parse_via(b"SIP/2.0/UDP h;branch").branch) == (b"", b"")


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b"<sip:a@h>", (b"", b"sip:a@h", {})),
        (b"<sip:a@h>;tag=1", (b"", b"sip:a@h", {b"tag": b"1"})),
        (b"Alice <sip:a@h>;tag=1", (b"Alice", b"sip:a@h", {b"tag": b"1"})),
        (b"caller<sip:a@h>", (b"caller", b"sip:a@h", {})),
        (b"A. Bell <sip:a@h>", (b"A. Bell", b"sip:a@h", {})),
        (b'"Bell, <A>" <sip:a@h>', (b'"Bell, <A>"', b"sip:a@h", {})),
        (rb'"J \\\"" <sip:a@h>', (rb'"J \\\""', b"sip:a@h", {})),
        (b'"nul \\\x00" <sip:a@h>', (b'"nul \\\x00"', b"sip:a@h", {})),
        ('"Ж" <sip:a@h>'.encode(), ('"Ж"'.encode(), b"sip:a@h", {})),
        ("Жанна <sip:a@h>".encode(), ("Жанна".encode(), b"sip:a@h", {})),
        (b"sip:a@h", (b"", b"sip:a@h", {})),
        (b"sip:a@h ;   tag    = 1918181833n", (b"", b"sip:a@h", {b"tag": b"1918181833n"})),
        (b"<sip:a@h;lr;x=1>;TAG=AbC;y", (b"", b"sip:a@h;lr;x=1", {b"tag": b"AbC", b"y": None})),
        (b"<sip:a@h?Route=%3Csip:b%3E>;q=1", (b"", b"sip:a@h?Route=%3Csip:b%3E", {b"q": b"1"})),
        (b"sip:a@[2001:db8::1];tag=1", (b"", b"sip:a@[2001:db8::1]", {b"tag": b"1"})),
        (b"<http://www.example.com>;tag=1", (b"", b"http://www.example.com", {b"tag": b"1"})),
        (b"isbn:2983792873", (b"", b"isbn:2983792873", {})),
    ],
)  # fmt: skip
def test_the_parts_of_an_address(value: bytes, address: tuple[bytes, bytes, dict[bytes, bytes | None]]) -> None:
    parsed = parse_name_addr(value, "From")
    assert (parsed.display, parsed.uri, parsed.params) == address


@pytest.mark.parametrize(
    "value",
    [
        b"", b"alice", b"<>", b"<sip:a@h", b"sip:a@h>", b"< sip:a@h >", b"<sip:a@h>,", b"<sip:a@h> x",
        b"<sip:a@h>;;", b'"Mr. J. User <sip:a@h>', b"Bell, Alexander <sip:a@h>", b"<sip:a@h\x00>",
        b"<sip:a@h>;tag=a\x00b", b"<sip:a@h>;tag=", b"sip:a@h?x=y", b'"a" "b" <sip:a@h>', b"a\x07b <sip:a@h>",
    ],
)  # fmt: skip
def test_a_malformed_address_is_refused(value: bytes) -> None:
    with pytest.raises(SipError, match="malformed From"):
        parse_name_addr(value, "From")


@pytest.mark.parametrize("value", [b"<sip:a@h>;tag", b"sip:a@h;tag", b"<sip:a@h>;tag=", b"<sip:a@h>;tag= "])
def test_an_empty_tag_is_refused(value: bytes) -> None:
    with pytest.raises(SipError):
        parse_name_addr(value, "To")


def test_a_missing_tag_is_empty() -> None:
    assert parse_name_addr(b"<sip:a@h>;x=1").tag == b""


def test_an_overlong_tag_is_kept_whole() -> None:
    tag = b"t" * 60_000
    assert parse_name_addr(b"<sip:a@h>;tag=" + tag).tag == tag


@pytest.mark.parametrize(
    ("value", "cseq"),
    [
        (b"1 INVITE", (1, b"INVITE")),
        (b"0009   \t INVITE", (9, b"INVITE")),
        (b"0 OPTIONS", (0, b"OPTIONS")),
        (b"2147483647 RE%47IST%45R", (2**31 - 1, b"RE%47IST%45R")),
        (b"7 " + b"X" * 60_000, (7, b"X" * 60_000)),
    ],
)
def test_a_cseq_is_a_number_and_a_method(value: bytes, cseq: tuple[int, bytes]) -> None:
    parsed = parse_cseq(value)
    assert (parsed.number, parsed.method) == cseq


@pytest.mark.parametrize(
    "value",
    [b"", b"1", b"INVITE", b"-1 INVITE", b"+1 INVITE", b"1INVITE", b"1 INV ITE", b"2147483648 INVITE",
     b"1_0 INVITE",
     b"36893488147419103232 REGISTER", b"1 INVITE\x00", "\u0661 INVITE".encode(), b"9" * 5_000 + b" INVITE"],
)  # fmt: skip
def test_a_malformed_cseq_is_refused(value: bytes) -> None:
    with pytest.raises(SipError, match="CSeq"):
        parse_cseq(value)


def test_a_number_has_digits_only_and_a_bound() -> None:
    assert [parse_number(text, "Expires", 3600) for text in (b"0", b"0068", b"3600")] == [0, 68, 3600]


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"+1", b" 1", b"1 ", b"1.0", b"1_0", b"0x1", b"3601", "\u0663".encode(), b"9" * 5_000]
)
def test_any_other_number_is_refused(value: bytes) -> None:
    with pytest.raises(SipError, match="Expires"):
        parse_number(value, "Expires", 3600)
