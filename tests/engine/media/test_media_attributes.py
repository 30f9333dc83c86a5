"""Attributes about transport and keys: what can't be read or isn't understood is passed over, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.sdp import SdpError
from engine.media.sdp.attributes import (
    DIRECTIONS,
    INACTIVE,
    RECVONLY,
    SENDONLY,
    SENDRECV,
    SUITES,
    Candidate,
    Crypto,
    Direction,
    Fingerprint,
    IceNames,
    host_candidate,
    parse_candidates,
    parse_crypto,
    parse_fingerprints,
    parse_ice_names,
    parse_rtcp,
)
from tests.engine.sip.written_at_random import calm

KEY = b"ywVk5uITslxveKrrlYM4TVyMqhxjBiiLuXOsVY+P"  # 30 bytes
PASSWORD = b"0mA3dVtN8kq2rT5wYb9cXe1f"


@pytest.mark.parametrize(
    ("offer", "wish", "answer"),
    [
        (SENDRECV, SENDRECV, SENDRECV),
        (SENDONLY, SENDRECV, RECVONLY),
        (RECVONLY, SENDRECV, SENDONLY),
        (INACTIVE, SENDRECV, INACTIVE),
        (SENDONLY, SENDONLY, INACTIVE),
        (SENDRECV, INACTIVE, INACTIVE),
    ],
)
def test_an_answer_says_no_more_than_the_offer_lets_it(
    offer: Direction, wish: Direction, answer: Direction
) -> None:
    assert wish.within(offer) == answer


def test_each_direction_has_its_name() -> None:
    assert {direction.attribute: direction for direction in DIRECTIONS.values()} == DIRECTIONS
    assert SENDONLY.seen_from_peer() == RECVONLY


def test_rtcp_may_have_an_address_of_its_own() -> None:
    assert parse_rtcp(b"53020") == (53020, None)
    assert parse_rtcp(b"53020 IN IP6 2001:DB8::1") == (53020, "2001:db8::1")
    for broken in (b"", b"x", b"65536", b"1 IN IP4", b"-1"):
        with pytest.raises(SdpError):
            parse_rtcp(broken)


@pytest.mark.parametrize(
    ("ufrag", "password"),
    [
        (b"abc", PASSWORD),
        (b"x" * 257, PASSWORD),
        (b"a b c", PASSWORD),
        (b"abcd", b"x" * 21),
        (b"abcd", b"x" * 257),
        (b"abcd", None),
        (None, PASSWORD),
    ],
)
def test_ice_names_outside_the_grammar_are_refused(ufrag: bytes | None, password: bytes | None) -> None:
    with pytest.raises(SdpError) as refused:
        parse_ice_names(ufrag, password)
    assert refused.value.status == 400


def test_ice_names_come_together_or_not_at_all_and_hide_the_password() -> None:
    assert parse_ice_names(None, None) is None
    names = parse_ice_names(b"Qx7b", PASSWORD)
    assert names == IceNames(b"Qx7b", PASSWORD)
    assert PASSWORD.decode() not in repr(names)


def test_a_candidate_of_ours_can_be_read() -> None:
    assert parse_candidates([host_candidate(1, "203.0.113.9", 30_000)]) == (
        Candidate(1, 2130706431, "203.0.113.9", 30_000, b"host"),
    )


@pytest.mark.parametrize(
    "value",
    [
        b"1 3 udp 1 192.0.2.1 1 typ host",  # a component that no one has
        b"1 0 udp 1 192.0.2.1 1 typ host",
        b"1 99999999999999999999 udp 1 192.0.2.1 1 typ host",
        b"1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        b"1 1 udp 1 192.0.2.1 65536 typ host",
        b"%s 1 udp 1 192.0.2.1 1 typ host" % (b"f" * 33),
        b"1 1 udp 1 192.0.2.1 1",
        b"",
    ],
)
def test_a_candidate_that_is_not_understood_is_passed_over(value: bytes) -> None:
    assert parse_candidates([value, host_candidate(1, "192.0.2.1", 1)]) == parse_candidates(
        [host_candidate(1, "192.0.2.1", 1)]
    )


def test_candidates_are_counted() -> None:
    assert len(parse_candidates([host_candidate(1, "192.0.2.1", 1)] * 1_000)) == 64


def test_fingerprints_are_read_whatever_their_case() -> None:
    digest = bytes(range(32))
    fingerprint = Fingerprint(b"sha-256", digest)
    assert parse_fingerprints([bytes(fingerprint).lower().replace(b"sha", b"SHA")]) == (fingerprint,)
    assert bytes(fingerprint).startswith(b"sha-256 00:01:02")


@pytest.mark.parametrize(
    "value",
    [
        b"md5 " + b":".join([b"00"] * 16),  # RFC 8122 §5: must not be used
        b"sha-256 " + b":".join([b"00"] * 20),
        b"sha-256 zz",
        b"sha-256",
        b"sha-512 " + b":".join([b"00"] * 600),
        b"sha-3000 " + b":".join([b"00"] * 32),
    ],
)
def test_a_fingerprint_that_proves_nothing_is_passed_over(value: bytes) -> None:
    assert parse_fingerprints([value]) == ()


def test_keys_are_read_and_written_and_never_shown() -> None:
    line = b"3 AES_CM_128_HMAC_SHA1_80 inline:" + KEY
    (crypto,) = parse_crypto([line])
    assert bytes(crypto) == line
    assert KEY.decode() not in repr(crypto)
    assert str(crypto.key) not in str(crypto)


def test_lifetime_and_advice_are_no_obstacle() -> None:
    lines = [
        b"1 aes_cm_128_hmac_sha1_80 inline:%s|2^31" % KEY,
        b"2 AES_CM_128_HMAC_SHA1_32 inline:%s WSH=64 -x" % KEY,
    ]
    assert [crypto.suite for crypto in parse_crypto(lines)] == [
        b"AES_CM_128_HMAC_SHA1_80",
        b"AES_CM_128_HMAC_SHA1_32",
    ]


@pytest.mark.parametrize(
    "value",
    [
        b"1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY[:-4],
        b"1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY + b"AAAA",
        b"1 AES_CM_128_HMAC_SHA1_80 inline:A",
        b"1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 129,
        b"1 AES_CM_128_NULL_AUTH inline:" + KEY,
        b"1 AES_CM_128_HMAC_SHA1_80 inline:%s|2^20|1:4" % KEY,  # an MKI
        b"1 AES_CM_128_HMAC_SHA1_80 inline:%s;inline:%s" % (KEY, KEY),
        b"1 AES_CM_128_HMAC_SHA1_80 inline:%s UNENCRYPTED_SRTP" % KEY,
        b"1 AES_CM_128_HMAC_SHA1_80 inline:%s KDR=4" % KEY,
        b"1 AES_CM_128_HMAC_SHA1_80",
        b"x AES_CM_128_HMAC_SHA1_80 inline:" + KEY,
        b"",
    ],
)
def test_a_key_that_can_not_be_obeyed_is_passed_over(value: bytes) -> None:
    assert parse_crypto([value]) == ()


@calm
@given(st.sampled_from(sorted(SUITES)), st.integers(1, 999_999_999), st.data())
def test_any_key_survives_writing_and_reading(suite: bytes, tag: int, data: st.DataObject) -> None:
    size = sum(SUITES[suite])
    crypto = Crypto(tag, suite, data.draw(st.binary(min_size=size, max_size=size)))
    assert parse_crypto([bytes(crypto)]) == (crypto,)


@calm
@given(st.lists(st.binary(max_size=80)))
def test_noise_is_passed_over(values: list[bytes]) -> None:
    parse_candidates(values)
    parse_fingerprints(values)
    parse_crypto(values)
