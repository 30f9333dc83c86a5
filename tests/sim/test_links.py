"""Links: delay, jitter, loss, order, duplicates."""

from __future__ import annotations

import itertools
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.links import Direction, Link, delay_until
from tests.sim.toys import Pair

SHARES = st.floats(0.0, 1.0)
TIMES = st.floats(0.0, 1e6, allow_nan=False)


def texts(number: int) -> list[bytes]:
    return [str(index).encode() for index in range(number)]


def sent_over(link: Link, number: int = 60, seed: int = 0, apart_s: float = 0.001) -> Pair:
    pair = Pair(link=link, seed=seed)
    for index in range(number):
        pair.say(str(index), index * apart_s)
    pair.world.run(10.0)
    return pair


@given(st.builds(Link, jitter_ms=st.floats(0.0, 50.0), loss=SHARES, reorder=SHARES), st.integers(0, 999))
def test_nothing_arrives_twice_on_a_link_that_duplicates_nothing(link: Link, seed: int) -> None:
    heard = sent_over(link, seed=seed).right.data
    assert len(heard) == len(set(heard))


@given(st.builds(Link, jitter_ms=st.floats(0.0, 50.0), loss=SHARES, duplicate=SHARES), st.integers(0, 999))
def test_order_is_kept_on_a_link_that_reorders_nothing(link: Link, seed: int) -> None:
    heard = [int(data) for data in sent_over(link, seed=seed).right.data]
    assert heard == sorted(heard)


@given(st.builds(Link, jitter_ms=st.floats(0.0, 50.0), reorder=SHARES, duplicate=SHARES), st.integers(0, 999))
def test_everything_arrives_on_a_link_that_loses_nothing(link: Link, seed: int) -> None:
    assert set(sent_over(link, seed=seed).right.data) == set(texts(60))


def test_reordering_lets_later_packets_overtake() -> None:
    heard = [int(data) for data in sent_over(Link(reorder=0.3)).right.data]
    assert heard != sorted(heard)
    assert sorted(heard) == list(range(60))


def test_a_duplicate_arrives_after_its_original() -> None:
    pair = sent_over(Link(duplicate=1.0), number=3, apart_s=0.1)
    assert pair.right.data == [b"0", b"0", b"1", b"1", b"2", b"2"]
    assert pair.fates() == ["delivered", "duplicated"] * 3


@pytest.mark.parametrize("seed", range(5))
def test_loss_is_the_share_that_was_set(seed: int) -> None:
    direction = Direction(Link(loss=0.05), Random(seed))
    lost = sum(not direction.datagram(float(index)) for index in range(20_000))
    assert abs(lost - 1000) < 5 * (20_000 * 0.05 * 0.95) ** 0.5  # five standard deviations of the binomial law


def test_latency_is_exact_without_jitter() -> None:
    assert sent_over(Link(latency_ms=20), number=2).right.arrivals[0] == (pytest.approx(0.020), b"0")


def test_jitter_is_what_rfc_3550_would_measure() -> None:
    direction = Direction(Link(latency_ms=30, jitter_ms=4), Random(1))
    transits = [direction.datagram(float(index))[0] for index in range(20_000)]
    differences = [abs(one - other) for one, other in itertools.pairwise(transits)]
    assert mean(differences) == pytest.approx(0.004, rel=0.05)
    assert min(transits) >= 0.030


@given(TIMES, TIMES)
def test_a_clock_never_arrives_before_its_time(now: float, later: float) -> None:
    at = max(now, later)
    delay = delay_until(now, at)
    assert at <= now + delay <= at + 1e-9


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"latency_ms": -1.0}, {"jitter_ms": float("inf")}])
def test_a_link_refuses_what_makes_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Link(**wrong)
