"""The ICE-lite agent answers proven checks, believes nothing else, and follows the peer's choice (RFC 8445)."""

from __future__ import annotations

import zlib
from hashlib import sha1
from hmac import digest
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.boundary import NEVER, Address
from engine.media.ice import CONSENT_S, IceAgent, new_names
from engine.media.sdp.attributes import Candidate, IceNames, parse_ice_names
from engine.media.targets import Targets
from engine.stun import ERROR, SUCCESS, is_stun, read_stun
from tests.engine.sip.written_at_random import calm

OURS = IceNames(b"oursours", b"our-password-of-24-octet".replace(b"-", b"+"))
THEIRS = IceNames(b"thei", b"their+password+22octet")
HOME, AWAY, STRANGER = ("198.51.100.20", 40_001), ("198.51.100.99", 5_000), ("203.0.113.66", 6_666)
RELAY = ("192.0.2.1", 30_000)  # a port of ours

USERNAME, INTEGRITY, PRIORITY, USE_CANDIDATE = 0x0006, 0x0008, 0x0024, 0x0025
FINGERPRINT, CONTROLLED, CONTROLLING = 0x8028, 0x8029, 0x802A


def attribute(kind: int, value: bytes = b"") -> bytes:
    return kind.to_bytes(2) + len(value).to_bytes(2) + value + bytes(-len(value) % 4)


def check(
    *,
    nominate: bool = False,
    priority: int = 100,
    username: bytes | None = OURS.ufrag + b":" + THEIRS.ufrag,
    password: bytes | None = OURS.password,
    role: int = CONTROLLING,
    fingerprint: bool = True,
    more: bytes = b"",
    kind: int = 0x0001,
) -> bytes:
    """A check as a full agent makes it, written out here: the code under test reads what it did not write."""
    body = b"" if username is None else attribute(USERNAME, username)
    body += attribute(role, bytes(8)) + (attribute(PRIORITY, priority.to_bytes(4)) if priority else b"") + more
    if nominate:
        body += attribute(USE_CANDIDATE)
    head = kind.to_bytes(2), b"\x21\x12\xa4\x42" + b"transaction!"
    if password is not None:
        before = head[0] + (len(body) + 24).to_bytes(2) + head[1] + body
        body += attribute(INTEGRITY, digest(password, before, sha1))
    message = head[0] + (len(body) + 8 * fingerprint).to_bytes(2) + head[1] + body
    if fingerprint:
        message += attribute(FINGERPRINT, (zlib.crc32(message) ^ 0x5354554E).to_bytes(4))
    assert is_stun(message)
    return message


def agent(remote: IceNames | None = THEIRS) -> IceAgent:
    return IceAgent(OURS, Targets(own=RELAY.__eq__), remote)


def error_code(reply: bytes) -> int:
    message = read_stun(reply)
    assert message.kind == ERROR
    value = message.attributes[0x0009]
    return value[2] * 100 + value[3]


def test_names_are_long_enough_legal_and_differ() -> None:
    random = Random(1)
    names = [new_names(random) for _ in range(100)]
    assert len(set(names)) == 100
    assert all(parse_ice_names(name.ufrag, name.password) == name for name in names)


def test_a_proven_check_is_answered_with_proof_and_the_address_it_came_from() -> None:
    ice = agent()
    outcome = ice.receive(check(), HOME, 0.0)
    answer = read_stun(outcome.reply)
    assert answer.kind == SUCCESS
    assert answer.proves(OURS.password)
    assert answer.fingerprint
    assert int.from_bytes(answer.attributes[0x0020][2:4]) ^ 0x2112 == HOME[1]
    assert ice.is_checked(HOME)
    assert not ice.is_checked(STRANGER)
    assert ice.selected is None


def test_the_nominated_pair_is_selected_once() -> None:
    ice = agent()
    assert ice.receive(check(nominate=True), HOME, 0.0).selected == HOME
    assert ice.receive(check(nominate=True), HOME, 1.0).selected is None
    assert ice.selected == HOME


def test_a_check_may_come_before_the_description() -> None:
    ice = agent(remote=None)
    assert ice.receive(check(nominate=True, username=b"oursours:whoever"), HOME, 0.0).selected == HOME


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (check(username=None), 400),
        (check(password=None), 400),
        (check(password=b"wrong"), 401),
        (check(username=b"other:thei"), 401),
        (check(username=b"oursours"), 401),
        (check(username=b"oursours:else"), 401),
        (check(fingerprint=False), 400),
        (check(priority=0), 400),
        (check(more=attribute(0x7FFF)), 420),
        (check(role=CONTROLLED), 487),
    ],
)
def test_a_check_that_is_not_good_is_refused_and_changes_nothing(message: bytes, code: int) -> None:
    ice = agent()
    ice.receive(check(nominate=True), HOME, 0.0)
    outcome = ice.receive(message, STRANGER, 1.0)
    assert error_code(outcome.reply) == code
    assert outcome.refused
    assert outcome.selected is None
    assert ice.selected == HOME
    assert not ice.is_checked(STRANGER)


def test_a_refusal_of_a_proven_check_is_proven() -> None:
    assert read_stun(agent().receive(check(role=CONTROLLED), HOME, 0.0).reply).proves(OURS.password)
    assert not read_stun(agent().receive(check(password=b"wrong"), HOME, 0.0).reply).proves(OURS.password)


def test_an_indication_keeps_a_nat_open_and_means_nothing() -> None:
    ice = agent()
    assert ice.receive(check(kind=0x0011), HOME, 0.0) == ice.receive(check(kind=0x0011), STRANGER, 0.0)
    assert not ice.is_checked(HOME)


@pytest.mark.parametrize("kind", [0x0101, 0x0111, 0x0003])
def test_answers_that_nobody_waits_for_are_dropped(kind: int) -> None:
    outcome = agent().receive(check(kind=kind), HOME, 0.0)
    assert outcome.reply == b""


def test_a_peer_that_nominates_everything_means_the_best() -> None:
    ice = agent()
    for round_ in range(5):
        ice.receive(check(nominate=True, priority=100), HOME, round_)
        ice.receive(check(nominate=True, priority=50), AWAY, round_ + 0.5)
    assert ice.selected == HOME
    assert ice.receive(check(nominate=True, priority=200), AWAY, 9.0).selected == AWAY


def test_a_peer_that_has_moved_is_followed() -> None:
    ice = agent()
    ice.receive(check(nominate=True, priority=100), HOME, 0.0)
    ice.receive(check(nominate=True, priority=50), AWAY, 1.0)
    assert ice.selected == HOME
    assert ice.receive(check(nominate=True, priority=50), AWAY, 1.5).selected == AWAY


def checking_on(until_s: float) -> IceAgent:
    """An agent whose peer, as those of WebRTC do, has gone on to check until then."""
    ice = agent()
    ice.receive(check(nominate=True), HOME, 0.0)
    ice.receive(check(), HOME, until_s)  # as aiortc asks for consent: nothing is nominated
    return ice


def test_consent_ends_when_checks_stop_and_comes_back_with_them() -> None:
    ice = checking_on(15.0)
    assert ice.deadline() == 15.0 + CONSENT_S
    assert not ice.tick(15.0 + CONSENT_S - 0.1)
    assert ice.target == HOME
    assert ice.tick(15.0 + CONSENT_S)
    assert (ice.target, ice.deadline()) == (None, NEVER)
    assert not ice.tick(100.0)  # told once
    assert ice.is_checked(HOME)  # it may speak on: consent is about what it is sent
    ice.receive(check(), AWAY, 100.0)
    assert ice.target is None
    ice.receive(check(), HOME, 101.0)
    assert ice.target == HOME


def test_who_nominates_another_address_consents_to_that() -> None:
    ice = checking_on(15.0)
    assert ice.tick(15.0 + CONSENT_S)
    ice.receive(check(nominate=True, priority=200), AWAY, 50.0)
    assert (ice.target, ice.deadline()) == (AWAY, 50.0 + CONSENT_S)


def test_who_keeps_the_path_open_by_indications_is_not_held_to_checks() -> None:
    ice = agent()
    for now in (0.0, 0.5, 2.0):  # until it has found its path
        ice.receive(check(nominate=True), HOME, now)
    assert ice.deadline() == NEVER
    assert not ice.tick(1_000.0)
    assert ice.target == HOME


def test_a_restart_long_after_is_no_consent() -> None:
    ice = agent()
    ice.receive(check(nominate=True), HOME, 0.0)
    fresh = IceNames(b"newufrag", b"a+new+password+of+24+oct")
    ice.restart(fresh, THEIRS)
    ice.receive(check(nominate=True, username=b"newufrag:thei", password=fresh.password), HOME, 60.0)
    assert ice.deadline() == NEVER


def test_a_lite_peer_that_makes_no_checks_is_not_asked_for_consent() -> None:
    ice = agent()
    ice.take_candidates([Candidate(1, 10, *HOME, b"host")], 1)
    assert ice.deadline() == NEVER
    assert not ice.tick(1_000.0)
    assert ice.target == HOME


def test_a_restart_takes_new_names_and_leaves_the_media_where_they_go() -> None:
    ice = agent()
    ice.receive(check(nominate=True, priority=200), HOME, 0.0)
    ice.receive(check(), AWAY, 0.0)
    fresh = IceNames(b"newufrag", b"a+new+password+of+24+oct")
    ice.restart(fresh, THEIRS)
    assert ice.selected == HOME
    assert ice.is_checked(HOME)
    assert not ice.is_checked(AWAY)
    assert error_code(ice.receive(check(nominate=True), AWAY, 1.0).reply) == 401
    renewed = check(nominate=True, priority=10, username=b"newufrag:thei", password=fresh.password)
    assert ice.receive(renewed, AWAY, 1.0).selected == AWAY


def test_of_two_lite_agents_none_checks() -> None:
    ice = agent()
    candidates = [
        Candidate(1, 10, "192.0.2.5", 4_000, b"host"),
        Candidate(1, 20, "192.0.2.6", 4_002, b"host"),
        Candidate(2, 90, "192.0.2.6", 4_003, b"host"),
    ]
    assert ice.take_candidates(candidates, 1) == ("192.0.2.6", 4_002)
    assert ice.checked == {("192.0.2.6", 4_002)}
    assert agent().take_candidates([], 1) is None


@pytest.mark.parametrize(
    "refused", [("a1b2.local", 4_000), ("127.0.0.1", 4_000), ("239.1.2.3", 4_000), ("192.0.2.6", 0), RELAY]
)
def test_a_lite_peer_is_never_believed_where_nothing_may_be_sent_to(refused: Address) -> None:
    bad, good = Candidate(1, 20, *refused, b"host"), Candidate(1, 10, *HOME, b"host")
    ice = agent()
    assert ice.take_candidates([bad], 1) is None
    assert not ice.checked
    assert ice.take_candidates([bad, good], 1) == HOME
    assert ice.checked == {HOME}


def test_a_proven_check_with_the_forged_source_of_a_port_of_ours_is_neither_believed_nor_answered() -> None:
    ice = agent()
    outcome = ice.receive(check(nominate=True), RELAY, 0.0)
    assert (outcome.reply, outcome.selected, outcome.refused) == (b"", None, "port of this relay")
    assert not ice.checked


def test_sources_are_bounded_and_the_selected_one_stays() -> None:
    ice = agent()
    ice.receive(check(nominate=True), HOME, 0.0)
    for port in range(1, 200):
        ice.receive(check(), (AWAY[0], port), float(port))
    checked = [port for port in range(1, 200) if ice.is_checked((AWAY[0], port))]
    assert checked == list(range(185, 200))
    assert ice.is_checked(HOME)


@calm
@given(st.integers(0, 91), st.integers(0, 7))
def test_a_check_with_a_changed_bit_is_never_believed(octet: int, bit: int) -> None:
    message = bytearray(check(nominate=True))
    message[octet % len(message)] ^= 1 << bit
    ice = agent()
    if is_stun(bytes(message)):
        assert ice.receive(bytes(message), HOME, 0.0).selected is None
    assert not ice.is_checked(HOME)


@calm
@given(st.binary(max_size=120), st.sampled_from([b"", b"\x00\x01\x00\x10", b"\x01\x01\x00\x10"]))
def test_noise_is_survived(noise: bytes, start: bytes) -> None:
    ice = agent()
    message = start + b"\x21\x12\xa4\x42" + noise
    if is_stun(message):
        ice.receive(message, STRANGER, 0.0)
    assert ice.selected is None


def test_the_address_type_is_that_of_the_boundary() -> None:
    source: Address = ("2001:db8::7", 9)
    assert agent().receive(check(nominate=True), source, 0.0).selected == source
