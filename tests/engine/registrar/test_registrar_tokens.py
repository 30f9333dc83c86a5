"""Flow tokens: what is written is read, by those who share the secret alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.boundary import Flow
from engine.registrar.tokens import MOST_CONTACT_BYTES, FlowToken, Tokens, is_token
from engine.sip.errors import SipError
from engine.sip.uri import parse_uri

KEYS = st.binary(min_size=8, max_size=8)
CALLS = st.binary(min_size=8, max_size=8).filter(any) | st.just(b"")
HOSTS = st.ip_addresses().map(str)
PORTS = st.integers(1, 65_535)
STREAMS = st.just(0) | st.integers(1, 2**32 - 1)
FLOWS = st.builds(Flow, st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True), st.tuples(HOSTS, PORTS), STREAMS)
CONTACTS = st.from_regex(rb"sip:[a-z0-9]{1,40}@[a-z0-9.]{1,40}(;transport=ws)?", fullmatch=True)
TOKENS = st.builds(FlowToken, KEYS, FLOWS, CONTACTS, CALLS) | st.builds(
    FlowToken, KEYS, st.none(), st.just(b""), CALLS
)

EDGE = Tokens(b"a secret of sixteen bytes", 7)


@given(TOKENS)
def test_what_is_sealed_is_read(token: FlowToken) -> None:
    assert EDGE.open(EDGE.seal(token)) == token


@given(TOKENS)
def test_a_token_is_a_user_part(token: FlowToken) -> None:
    text = EDGE.seal(token)
    assert re.fullmatch(rb"[A-Za-z0-9_-]+", text)
    assert parse_uri(b"sip:" + text + b"@192.0.2.1").user == text
    assert is_token(text)


@given(TOKENS)
def test_a_refresh_shows_the_same_token(token: FlowToken) -> None:
    assert EDGE.seal(token) == EDGE.seal(token)


@given(TOKENS, TOKENS)
def test_different_ways_have_different_tokens(one: FlowToken, other: FlowToken) -> None:
    assert (one == other) == (EDGE.seal(one) == EDGE.seal(other))


@given(TOKENS, st.data())
def test_a_token_with_one_other_character_is_refused(token: FlowToken, data: st.DataObject) -> None:
    text = EDGE.seal(token)
    at = data.draw(st.integers(len(b"flow-"), len(text) - 1))
    other = data.draw(st.sampled_from(b"ABCXYZabcxyz0189-_=.%!~ ").filter(lambda character: character != text[at]))
    refuses(text[:at] + bytes([other]) + text[at + 1 :])


@given(TOKENS, st.data())
def test_a_truncated_or_lengthened_token_is_refused(token: FlowToken, data: st.DataObject) -> None:
    text = EDGE.seal(token)
    refuses(text[: data.draw(st.integers(len(b"flow-"), len(text) - 1))])
    refuses(text + data.draw(st.from_regex(rb"[A-Za-z0-9_=-]{1,8}", fullmatch=True)))


@given(st.binary(max_size=300))
def test_any_octets_are_refused(octets: bytes) -> None:
    refuses(b"flow-" + octets)


@given(TOKENS)
def test_a_token_of_another_secret_is_refused(token: FlowToken) -> None:
    refuses(Tokens(b"another secret", 7).seal(token))


@given(TOKENS)
def test_edges_that_share_a_secret_read_each_others_tokens_but_for_their_connections(token: FlowToken) -> None:
    text = Tokens(b"a secret of sixteen bytes", 8).seal(token)
    datagrams = token.flow is not None and not token.flow.stream
    assert EDGE.open(text) == (token if datagrams else token._replace(flow=None, contact=EDGE.open(text).contact))
    assert EDGE.open(text).key == token.key


def test_nothing_of_the_agents_network_can_be_read() -> None:
    flow = Flow("outside", ("10.11.12.13", 5060))
    texts = [EDGE.seal(FlowToken(bytes(8), flow._replace(peer=(f"10.11.12.{n}", 5060)))) for n in range(14, 18)]
    heads = {text[:40] for text in texts}
    assert len(heads) == 4  # neighbours have nothing in common


def test_a_contact_that_is_too_long_is_left_out() -> None:
    flow = Flow("outside", ("10.11.12.13", 5060))
    contact = b"sip:" + b"x" * MOST_CONTACT_BYTES
    assert EDGE.open(EDGE.seal(FlowToken(bytes(8), flow, contact))) == FlowToken(bytes(8), flow)


def refuses(text: bytes) -> None:
    with pytest.raises(SipError) as caught:
        EDGE.open(text)
    assert caught.value.status == 403
