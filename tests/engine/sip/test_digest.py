"""Digest: the RFCs' own examples, round trips, and input that must not be believed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.digest import (
    Challenge,
    Credentials,
    answer,
    choose,
    expected_response,
    parse_challenge,
    parse_credentials,
    verify,
)
from engine.sip.errors import SipError


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (b"MD5", b"8ca523f5e9506fed4657c9700eebdbec"),
        (b"SHA-256", b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: bytes, response: bytes) -> None:
    credentials = Credentials(
        username=b"Mufasa",
        realm=b"http-auth@example.org",
        nonce=b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        uri=b"/dir/index.html",
        response=response,
        algorithm=algorithm,
        qop=b"auth",
        cnonce=b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nc=1,
    )
    assert expected_response(credentials, b"GET", b"Circle of Life") == response
    assert verify(credentials, b"GET", b"Circle of Life")
    assert not verify(credentials, b"GET", b"Circle of Death")
    assert not verify(credentials, b"PUT", b"Circle of Life")


def test_without_qop_as_in_rfc_2069() -> None:
    credentials = Credentials(
        username=b"Mufasa",
        realm=b"testrealm@host.com",
        nonce=b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        uri=b"/dir/index.html",
        response=b"670fd8c2df070c60b045671b8b24ff02",
    )
    assert verify(credentials, b"GET", b"Circle Of Life")
    assert b"nc=" not in bytes(credentials)


def test_a_recorded_phone_and_freeswitch_agree() -> None:
    credentials = parse_credentials(
        b'Digest username="1000", realm="lab.test", nonce="3acc5deb-f62a-4506-ab4b-47ff3c6b9a35", '
        b'uri="sip:lab.test", response="a5841c449f28e1ec66a23a3ad29ba569", algorithm=MD5, '
        b'cnonce="72b34eaa", qop=auth, nc=00000001'
    )
    assert verify(credentials, b"REGISTER", b"1234")


def test_a_challenge_is_written_as_freeswitch_writes_it() -> None:
    challenge = Challenge(realm=b"lab.test", nonce=b"n", stale=True)
    assert bytes(challenge) == b'Digest realm="lab.test", nonce="n", stale=true, algorithm=MD5, qop="auth"'


quotable = st.binary(max_size=20).map(lambda data: bytes(octet for octet in data if octet not in b"\r\n\x00"))


@given(
    quotable,
    quotable,
    st.sampled_from([b"MD5", b"SHA-256"]),
    st.sampled_from([(), (b"auth",), (b"auth", b"auth-int")]),
    st.booleans(),
    st.none() | quotable,
)
def test_challenge_and_answer_survive_the_wire(
    realm: bytes, nonce: bytes, algorithm: bytes, qop: tuple[bytes, ...], stale: bool, opaque: bytes | None
) -> None:
    challenge = Challenge(realm=realm, nonce=nonce, algorithm=algorithm, qop=qop, stale=stale, opaque=opaque)
    assert parse_challenge(bytes(challenge)) == challenge
    given_ = answer(
        challenge, username=b'a"b', password=b"p", method=b"INVITE", uri=b"sip:b@c", cnonce=b"xyz", nc=0x1F
    )
    read = parse_credentials(bytes(given_))
    assert read == given_
    assert verify(read, b"INVITE", b"p")
    assert not verify(read, b"INVITE", b"q")


def test_the_first_challenge_that_can_be_answered_is_chosen() -> None:
    unknown = b'Digest realm="a", nonce="b", algorithm=SHA-512-256'
    sha = b'Digest realm="a", nonce="b", algorithm=SHA-256, qop="auth"'
    chosen = choose([b'Basic realm="a"', unknown, sha, sha.replace(b"SHA-256", b"MD5")])
    assert chosen is not None
    assert chosen.algorithm == b"SHA-256"
    assert choose([unknown]) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Digest ",
        b"Basic dXNlcg==",
        b'Digest realm="a"',
        b'Digest username="a", realm="b", nonce="c", uri="d", response="e", qop=auth',
        b'Digest username="a", realm="b", nonce="c", uri="d", response="e", qop=auth, nc=1, cnonce="f"',
        b'Digest username="a", realm="b", nonce="c", uri="d", response="e", qop=auth-int, nc=00000001, cnonce="f"',
        b'Digest username="a", username="b", realm="b", nonce="c", uri="d", response="e"',
        b'Digest username="a", realm="b", nonce="c", uri="d", response="e", algorithm=CRC32',
        b'Digest username="a, realm=b',
    ],
)
def test_bad_credentials_are_refused(value: bytes) -> None:
    with pytest.raises(SipError):
        parse_credentials(value)


@given(st.binary(max_size=200).map(lambda junk: b"Digest " + junk))
def test_junk_is_refused_or_read_but_never_crashes(value: bytes) -> None:
    for parse in (parse_challenge, parse_credentials):
        with contextlib.suppress(SipError):
            parse(value)
