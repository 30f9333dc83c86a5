"""A port believes one source, learnt once; what a stranger sends is neither heard nor answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.boundary import NEVER, Address
from engine.media.latching import LATCH_STATES, LEARNING, LOCKED, OPEN, WINDOW_S, Latch, Trust
from engine.media.targets import Targets
from tests.engine.sip.written_at_random import calm

TOLD = ("192.168.1.15", 16_906)
NATTED = ("198.51.100.20", 40_001)
STRANGER = ("203.0.113.66", 6_666)
ROAMED = ("198.51.100.99", 50_000)


def latch(trust: Trust = "any", told: Address | None = TOLD, signalling: str | None = NATTED[0]) -> Latch:
    made = Latch(Targets(), trust)
    made.negotiated(told, signalling)
    return made


def keep_sending(port: Latch, source: Address, start: float, seconds: float = 1.0) -> list[bool]:
    """Fifty packets a second, as G.711 goes."""
    return [port.packet(source, start + index * 0.02) for index in range(int(seconds * 50))]


def test_every_state_has_a_way_back_to_open_by_signalling_alone() -> None:
    assert all(events["renegotiated"] == OPEN for events in LATCH_STATES.values())
    assert set(LATCH_STATES[LOCKED]) == {"renegotiated"}


def test_until_packets_come_media_go_where_the_description_says() -> None:
    assert latch().target == TOLD


def test_the_told_address_locks_at_once() -> None:
    port = latch()
    assert port.packet(TOLD, 0.0)
    assert (port.state, port.source, port.target) == (LOCKED, TOLD, TOLD)


def test_a_natted_peer_locks_at_once_where_its_signalling_comes_from() -> None:
    port = latch()
    assert port.packet(NATTED, 0.0)
    assert port.target == NATTED


def test_a_peer_that_signals_through_a_balancer_locks_when_it_lasts() -> None:
    port = latch(signalling="192.0.2.200")
    heard = keep_sending(port, NATTED, 0.0)
    assert not any(heard[: int(WINDOW_S * 50)])
    assert all(heard[int(WINDOW_S * 50) + 1 :])
    assert port.target == NATTED


def test_within_the_window_the_expected_source_goes_before_a_stranger() -> None:
    port = latch()
    keep_sending(port, STRANGER, 0.0, 0.4)
    assert port.state == LEARNING
    assert port.packet(NATTED, 0.41)
    assert not any(keep_sending(port, STRANGER, 0.42))
    assert port.target == NATTED


def test_a_packet_that_happens_by_locks_nothing() -> None:
    port = latch(signalling=None)
    port.packet(STRANGER, 0.0)
    assert port.deadline() == WINDOW_S
    assert not port.tick(WINDOW_S)
    assert (port.state, port.deadline()) == (OPEN, NEVER)
    assert any(keep_sending(port, NATTED, 1.0))


def test_a_window_may_end_without_another_packet() -> None:
    port = latch(signalling=None)
    keep_sending(port, NATTED, 0.0, 0.4)
    assert port.tick(WINDOW_S)
    assert port.source == NATTED


def test_after_the_lock_nobody_else_is_heard() -> None:
    port = latch()
    port.packet(NATTED, 0.0)
    assert not any(keep_sending(port, STRANGER, 0.1))
    assert not any(keep_sending(port, (NATTED[0], 1_234), 0.1))
    assert port.packet(NATTED, 2.0)
    assert port.target == NATTED


def test_a_repeated_description_lets_the_same_source_go_on() -> None:
    port = latch()
    port.packet(NATTED, 0.0)
    port.negotiated(TOLD, NATTED[0])
    assert port.target == NATTED
    assert not port.packet(STRANGER, 1.0)
    assert port.packet(NATTED, 1.02)


def test_a_held_peer_is_not_looked_for_among_strangers() -> None:
    """baresip sends nothing while it holds: a stranger has all the time to come first."""
    port = latch()
    port.packet(NATTED, 0.0)
    port.negotiated(None, NATTED[0])
    assert not any(keep_sending(port, STRANGER, 1.0, 10.0))
    port.negotiated(TOLD, NATTED[0])
    assert not any(keep_sending(port, STRANGER, 12.0, 10.0))
    assert port.target == NATTED
    assert port.packet((NATTED[0], 40_777), 30.0)  # its NAT has given it another port meanwhile


def test_a_peer_that_says_it_has_moved_is_learnt_anew() -> None:
    port = latch(signalling=None)
    keep_sending(port, NATTED, 0.0)
    port.negotiated(("10.0.0.7", 9_000), None)
    assert port.target == ("10.0.0.7", 9_000)
    assert any(keep_sending(port, ROAMED, 2.0))
    assert port.target == ROAMED


def test_rtcp_is_expected_from_where_rtp_was_found() -> None:
    port = latch("known", told=("192.168.1.15", 16_907), signalling=None)
    assert not port.packet((NATTED[0], 40_002), 0.0)
    port.know(NATTED[0])
    assert port.packet((NATTED[0], 40_002), 0.1)


@pytest.mark.parametrize(
    ("trust", "heard"), [("any", {TOLD, NATTED, STRANGER}), ("known", {TOLD, NATTED}), ("told", {TOLD})]
)
def test_trust_says_who_may_lock(trust: Trust, heard: set[Address]) -> None:
    for source in (TOLD, NATTED, STRANGER):
        assert any(keep_sending(latch(trust), source, 0.0)) == (source in heard)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "224.0.0.1", "255.255.255.255"])
def test_a_forbidden_target_is_refused_from_descriptions_and_packets_alike(host: str) -> None:
    port = Latch(Targets())
    assert port.negotiated((host, 4_000), host)
    assert port.target is None
    assert not any(keep_sending(port, (host, 4_000), 0.0))
    assert port.target is None


def test_without_any_address_told_the_first_to_last_is_believed() -> None:
    port = latch(told=None, signalling=None)
    assert port.target is None
    assert any(keep_sending(port, NATTED, 0.0))


SOURCES = st.sampled_from([TOLD, NATTED, STRANGER, ROAMED])
STEPS = st.tuples(st.sampled_from(["packet", "tick", "negotiated", "held"]), SOURCES, st.floats(0.0, 0.3))


@calm
@given(st.lists(STEPS, max_size=80), st.sampled_from(["any", "known", "told"]))
def test_whoever_is_heard_was_locked_and_only_signalling_unlocks(
    steps: list[tuple[str, Address, float]], trust: Trust
) -> None:
    port = latch(trust)
    now = 0.0
    for step, source, pause in steps:
        now += pause
        before = port.source
        if step == "packet":
            heard = port.packet(source, now)
            assert heard == (port.state == LOCKED and port.source == source)
        elif step == "tick":
            port.tick(now)
        else:
            port.negotiated(source if step == "negotiated" else None, NATTED[0])
            continue
        if before is not None:
            assert port.source == before
        assert (port.source is not None) == (port.state == LOCKED)
        assert (port.deadline() < NEVER) == (port.state == LEARNING)
