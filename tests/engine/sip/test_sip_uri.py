"""SIP URIs (RFC 3261 §19.1, §25.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.errors import SipError
from engine.sip.uri import SipUri, _read_plain, _read_uri, escape_user, host_port, parse_uri, unescape
from tests.engine.sip.written_at_random import calm


def parts(uri: SipUri) -> tuple[object, ...]:
    return uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (b"sip:example.com", (b"sip", None, None, b"example.com", None, {}, b"")),
        (b"SIPS:bob@h", (b"sips", b"bob", None, b"h", None, {}, b"")),
        (b"sip:alice:secret@h:5070", (b"sip", b"alice", b"secret", b"h", 5070, {}, b"")),
        (b"sip:alice:@h", (b"sip", b"alice", b"", b"h", None, {}, b"")),
        (b"sip:h;transport=TCP;lr", (b"sip", None, None, b"h", None, {b"transport": b"TCP", b"lr": None}, b"")),
        (b"sip:a@h;TRANSPORT=ws", (b"sip", b"a", None, b"h", None, {b"transport": b"ws"}, b"")),
        (b"sip:a@[2001:db8::10]:5070", (b"sip", b"a", None, b"[2001:db8::10]", 5070, {}, b"")),
        (b"sip:[2001:db8::10:5070]", (b"sip", None, None, b"[2001:db8::10:5070]", None, {}, b"")),
        (b"sip:[::ffff:192.0.2.2]", (b"sip", None, None, b"[::ffff:192.0.2.2]", None, {}, b"")),
        (b"sip:a@h?Route=%3Csip:x%3E", (b"sip", b"a", None, b"h", None, {}, b"?Route=%3Csip:x%3E")),
        (b"sip:u;par=u%40x@h", (b"sip", b"u;par=u%40x", None, b"h", None, {}, b"")),
        (b"sip:+1-212:12@gw;user=phone", (b"sip", b"+1-212", b"12", b"gw", None, {b"user": b"phone"}, b"")),
        (b"sip:*98#@pbx_1", (b"sip", b"*98#", None, b"pbx_1", None, {}, b"")),
    ],
)  # fmt: skip
def test_the_parts_of_a_uri(text: bytes, uri: tuple[object, ...]) -> None:
    assert parts(parse_uri(text)) == uri


@given(st.from_regex(rb"sip:[a%;@]{0,4}[h:5@;=?\[\].A\-]{0,12}", fullmatch=True))
def test_the_short_way_reads_a_uri_as_the_grammar_does(text: bytes) -> None:
    plain = _read_plain(text)
    if plain is not None:
        assert parts(plain) == parts(_read_uri(text))


@pytest.mark.parametrize(
    "text",
    [
        b"sip:", b"sip:@h", b"sip:a@", b"sip:a b@h", b"sip:a@h ", b" sip:a@h", b"<sip:a@h>", b"sip:a@h; lr",
        b"sip:2001:db8::10", b"sip:a@[2001:db8::10", b"sip:a@h:", b"sip:a@h:x", b"sip:a@h:123456", b"sip:a@h:0",
        b"sip:a@h:65536", b"sip:a@h;", b"sip:a@h;;lr", b"sip:a@h;x=", b"sip:a%4@h", b"sip:a%zz@h", b"sip:a\x00@h",
        b"sip:a@h\r\n", "sip:ä@h".encode(), b"sip:a@b@c", b"example.com", b"",
    ],
)  # fmt: skip
def test_a_malformed_uri_is_refused(text: bytes) -> None:
    with pytest.raises(SipError) as raised:
        parse_uri(text)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "text", [b"tel:+12125551212", b"soap.beep://192.0.2.103:3002", b"unknown:opaque", b"http:/"]
)
def test_another_scheme_is_unsupported(text: bytes) -> None:
    with pytest.raises(SipError) as raised:
        parse_uri(text)
    assert raised.value.status == 416  # §8.2.2.1


@pytest.mark.parametrize("text", [b"sip:a:p@h:5070;lr;x=1?a=b", b"sips:[::1]:5061;transport=tcp", b"sip:h"])
def test_a_uri_is_written_as_it_was_read(text: bytes) -> None:
    assert bytes(parse_uri(text)) == text


def test_an_overlong_uri_is_read_like_any_other() -> None:
    user = b"u" * 60_000
    assert parse_uri(b"sip:" + user + b"@h").user == user


def test_a_host_is_compared_in_lower_case_and_without_brackets() -> None:
    assert (parse_uri(b"sip:[2001:DB8::1]").host_text, parse_uri(b"sip:Example.COM").host_text) == (
        "2001:db8::1",
        "example.com",
    )


def test_an_ipv6_host_stands_in_brackets_before_its_port() -> None:
    assert (host_port("2001:db8::1", 5060), host_port("192.0.2.1", 5060)) == (
        b"[2001:db8::1]:5060",
        b"192.0.2.1:5060",
    )


def test_an_escape_is_equal_to_its_octet() -> None:
    assert unescape(b"%75se%72%00%zz") == b"user\x00%zz"


@calm
@given(st.binary(min_size=1))
def test_an_escaped_user_can_stand_in_a_uri_and_comes_undone(user: bytes) -> None:
    uri = parse_uri(b"sip:" + escape_user(user) + b"@h")
    assert unescape(uri.user or b"") == user
