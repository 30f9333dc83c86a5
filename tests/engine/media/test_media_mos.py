"""The E-model agrees with the values that ITU-T publishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.mos import IMPAIRMENTS, mos, rating
from tests.engine.sip.written_at_random import calm


def test_a_perfect_call_is_rated_as_g107_says() -> None:
    assert rating(0.0, 0.0) == 93.2
    assert mos(93.2) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(("r", "score"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_ratings_stand_for_the_scores_of_g107_table_b1(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize(
    ("delay_ms", "idd"), [(100, 0.0), (150, 0.16), (200, 3.0), (300, 14.7), (400, 24.1), (500, 30.6)]
)
def test_delay_costs_as_the_formula_of_g107_says(delay_ms: float, idd: float) -> None:
    assert 93.2 - rating(delay_ms, 0.0) == pytest.approx(idd, abs=0.15)


def test_loss_costs_as_the_formula_of_g107_says() -> None:
    assert 93.2 - rating(0.0, 0.02) == pytest.approx(95 * 2 / (2 + 25.1))
    assert 93.2 - rating(0.0, 0.0, b"g729") == pytest.approx(11.0)
    assert 93.2 - rating(0.0, 0.01, b"g729") == pytest.approx(11 + 84 * 1 / (1 + 19))
    assert rating(0.0, 0.05, burst_ratio=2.0) < rating(0.0, 0.05)


def test_codecs_in_tandem_add_up() -> None:
    assert 93.2 - rating(0.0, 0.0, b"g729", b"gsm") == pytest.approx(31.0)
    assert rating(0.0, 0.0, b"opus", b"pcmu") == 93.2


def test_an_unknown_codec_counts_as_g711() -> None:
    assert rating(0.0, 0.01, b"speex") == rating(0.0, 0.01, b"pcmu")


@calm
@given(st.floats(-1e9, 1e9), st.floats(-10, 10), st.sampled_from(sorted(IMPAIRMENTS)), st.floats(0.0, 100.0))
def test_whatever_is_measured_gives_a_score(delay_ms: float, loss: float, codec: bytes, burst: float) -> None:
    r = rating(delay_ms, loss, codec, burst_ratio=burst)
    assert 0.0 <= r <= 93.2
    assert 1.0 <= mos(r) <= 4.5


@calm
@given(st.floats(0, 2000), st.floats(0, 1), st.floats(0, 500), st.floats(0, 0.5))
def test_more_delay_or_loss_is_never_better(
    delay_ms: float, loss: float, more_ms: float, more_loss: float
) -> None:
    assert rating(delay_ms + more_ms, loss) <= rating(delay_ms, loss) + 1e-9
    assert rating(delay_ms, min(1.0, loss + more_loss)) <= rating(delay_ms, loss) + 1e-9
    assert mos(rating(delay_ms, loss)) >= mos(rating(delay_ms + more_ms, loss)) - 1e-9
