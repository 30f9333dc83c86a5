"""Arrivals and durations follow their laws, and are common to runs that differ in anything else."""

from __future__ import annotations

from itertools import islice, pairwise
from random import Random
from statistics import fmean, median, pstdev
from typing import Any

import pytest

from sim.agents.arrivals import Arrivals
from sim.agents.durations import Duration


def first(arrivals: Arrivals, count: int, seed: int = 1) -> list[float]:
    return list(islice(arrivals.times(Random(seed)), count))


def test_fixed_arrivals_are_evenly_spaced() -> None:
    assert first(Arrivals(law="fixed", rate_per_s=4.0), 5) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_poisson_gaps_have_the_mean_and_spread_of_an_exponential() -> None:
    times = first(Arrivals(rate_per_s=50.0), 20_000)
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert fmean(gaps) == pytest.approx(0.02, rel=0.03)
    assert pstdev(gaps) == pytest.approx(0.02, rel=0.05)


def test_a_profile_changes_the_rate_at_its_seconds() -> None:
    arrivals = Arrivals(law="profile", profile=((10.0, 20.0), (20.0, 0.0), (30.0, 100.0), (40.0, 0.0)))
    times = list(arrivals.times(Random(3)))
    inside = [sum(start <= time < start + 10 for time in times) for start in (0, 10, 20, 30, 40)]
    assert (inside[0], inside[2], inside[4]) == (0, 0, 0)
    assert inside[1] == pytest.approx(200, abs=50)
    assert inside[3] == pytest.approx(1000, abs=120)


def test_another_rate_stretches_the_same_calls() -> None:
    slow, fast = first(Arrivals(rate_per_s=10.0), 100), first(Arrivals(rate_per_s=20.0), 100)
    assert slow == pytest.approx([2 * time for time in fast])


def test_what_a_logarithm_gave_is_rounded_so_that_no_library_s_last_bit_shows() -> None:
    random = Random(7)
    for law in ("exponential", "lognormal"):
        drawn = [Duration(distribution=law, mean=20.0).draw(random) for _ in range(1000)]
        assert drawn == [round(each, 9) for each in drawn]
    times = first(Arrivals(rate_per_s=1.0), 1000)
    assert times == pytest.approx([round(each, 9) for each in times], abs=1e-11)


DURATIONS: list[tuple[dict[str, Any], float, float]] = [
    ({"distribution": "fixed", "mean": 20.0}, 20.0, 0.0),
    ({"distribution": "exponential", "mean": 20.0}, 20.0, 20.0),
    ({"distribution": "uniform", "low": 10.0, "high": 40.0}, 25.0, 8.66),
    ({"distribution": "lognormal", "mean": 20.0, "deviation": 10.0}, 20.0, 10.0),
    ({"distribution": "lognormal", "mean": 20.0}, 20.0, 20.0),
]


@pytest.mark.parametrize(("law", "mean", "deviation"), DURATIONS)
def test_durations_have_the_mean_and_deviation_asked_for(
    law: dict[str, Any], mean: float, deviation: float
) -> None:
    random, duration = Random(5), Duration(**law)
    drawn = [duration.draw(random) for _ in range(40_000)]
    assert min(drawn) >= 0
    assert fmean(drawn) == pytest.approx(mean, rel=0.04)
    assert pstdev(drawn) == pytest.approx(deviation, rel=0.12)


@pytest.mark.parametrize(("law", "mean", "deviation"), DURATIONS)
def test_each_draw_takes_one_number_of_its_stream(law: dict[str, Any], mean: float, deviation: float) -> None:
    random, alike = Random(5), Random(5)
    Duration(**law).draw(random)
    alike.random()
    assert random.random() == alike.random()


def test_a_lognormal_has_the_median_below_its_mean() -> None:
    random, duration = Random(5), Duration(distribution="lognormal", mean=20.0, deviation=20.0)
    assert median(duration.draw(random) for _ in range(20_000)) == pytest.approx(20 / 2**0.5, rel=0.03)
