"""Pairs of ports are given out once, rest after use, and never get lost."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.ports import OwnPorts, PortPool, PortsExhaustedError
from tests.engine.sip.written_at_random import calm


def pool(low: int = 30_000, high: int = 30_019) -> PortPool:
    return PortPool("public", low, high, Random(7), rest_s=5.0)


@pytest.mark.parametrize(
    ("low", "high", "pairs"),
    [(30_000, 30_019, 10), (30_001, 30_019, 9), (30_000, 30_020, 10), (30_000, 30_001, 1), (30_001, 30_003, 1)],
)
def test_a_range_holds_whole_pairs_only(low: int, high: int, pairs: int) -> None:
    ports = pool(low, high)
    taken = [ports.take(0.0) for _ in range(pairs)]
    assert ports.pairs == len(set(taken)) == pairs
    assert all(port % 2 == 0 and low <= port < high for port in taken)


@pytest.mark.parametrize(
    ("low", "high"), [(30_001, 30_002), (30_000, 30_000), (30_002, 30_000), (0, 9), (65_000, 65_536)]
)
def test_a_range_without_a_pair_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="public"):
        pool(low, high)


def test_exhaustion_is_503_and_names_the_interface() -> None:
    ports = pool(30_000, 30_003)
    first, _ = ports.take(0.0), ports.take(0.0)
    with pytest.raises(PortsExhaustedError, match="public") as exhausted:
        ports.take(0.0)
    assert exhausted.value.status == 503
    ports.give(first, 1.0)
    with pytest.raises(PortsExhaustedError):
        ports.take(5.9)
    assert ports.take(6.0) == first


def test_a_pair_that_something_else_has_is_passed_over_and_tried_again_later() -> None:
    ports = pool(30_000, 30_007)
    busy = {30_000, 30_004}
    ports.is_free = lambda port: port not in busy
    assert {ports.take(0.0), ports.take(0.0)} == {30_002, 30_006}
    with pytest.raises(PortsExhaustedError):
        ports.take(0.0)
    assert ports.passed_over == 2
    assert ports.in_use == 2
    busy.clear()
    assert {ports.take(5.0), ports.take(5.0)} == {30_000, 30_004}


def test_looking_for_a_free_pair_is_bounded() -> None:
    ports = pool(30_000, 39_999)
    asked: list[int] = []
    ports.is_free = lambda port: bool(asked.append(port))  # type: ignore[func-returns-value]
    with pytest.raises(PortsExhaustedError):
        ports.take(0.0)
    assert 10 < len(asked) < 100


def test_a_port_given_back_twice_counts_once() -> None:
    ports = pool(30_000, 30_003)
    port = ports.take(0.0)
    ports.give(port, 0.0)
    ports.give(port, 0.0)
    ports.give(40_000, 0.0)
    assert {ports.take(9.0), ports.take(9.0)} == {30_000, 30_002}
    with pytest.raises(PortsExhaustedError):
        ports.take(9.0)


def test_both_ports_of_a_pair_in_use_are_held() -> None:
    ports = pool()
    port = ports.take(0.0)
    assert ports.holds(port)
    assert ports.holds(port + 1)
    assert not ports.holds(port + 2) or not ports.holds(port - 2)
    ports.give(port, 0.0)
    assert not ports.holds(port)


def test_a_port_of_ours_is_known_under_each_of_our_hosts_while_it_is_in_use() -> None:
    ports, other = pool(), pool()
    own = OwnPorts([("10.0.0.1", ports), ("203.0.113.9", ports), ("10.0.0.2", other)])
    port = ports.take(0.0)
    assert own(("10.0.0.1", port))
    assert own(("203.0.113.9", port + 1))
    assert not own(("10.0.0.2", port))
    assert not own(("192.0.2.1", port))
    ports.give(port, 0.0)
    assert not own(("10.0.0.1", port))


def test_the_next_pair_can_not_be_foretold() -> None:
    order = [pool(30_000, 39_999).take(0.0) for _ in range(1)] + [
        PortPool("public", 30_000, 39_999, Random(seed)).take(0.0) for seed in range(5)
    ]
    assert len(set(order)) > 3


@calm
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.floats(0.0, 3.0))))
def test_no_pair_is_lost_or_used_twice(steps: list[tuple[bool, int, float]]) -> None:
    ports = pool()
    taken: list[int] = []
    rested: dict[int, float] = {}
    now = 0.0
    for take, choice, pause in steps:
        now += pause
        if take:
            try:
                port = ports.take(now)
            except PortsExhaustedError:
                assert len(taken) + sum(until > now for until in rested.values()) == ports.pairs
                continue
            assert port not in taken
            assert rested.pop(port, 0.0) <= now
            taken.append(port)
        elif taken:
            port = taken.pop(choice % len(taken))
            ports.give(port, now)
            rested[port] = now + 5.0
        assert ports.in_use == len(taken)
    for port in taken:
        ports.give(port, now)
    assert len({ports.take(now + 5.0) for _ in range(ports.pairs)}) == ports.pairs
