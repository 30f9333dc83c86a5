"""A side's measurements add up to what could be heard of it; silence is told from hold."""

from __future__ import annotations

import pytest

from engine.media.quality import SILENT_S, Quality, is_one_way
from engine.media.rules import MediaStats, Port


def stats(
    packets: int = 250,
    *,
    lost: int = 0,
    jitter_ms: float = 0.0,
    round_trip_ms: float | None = None,
    silent_s: float = 0.0,
    dropped: int = 0,
) -> MediaStats:
    return MediaStats(
        Port("outside", 30_000), packets, packets * 172, lost, jitter_ms, round_trip_ms, silent_s, dropped
    )


def measured(*reports: MediaStats) -> Quality:
    quality = Quality()
    for report in reports:
        quality.measured(report)
    return quality


def test_a_perfect_call_scores_as_the_e_model_has_it() -> None:
    heard = measured(stats(), stats()).heard(b"pcmu")
    assert (heard.packets, heard.octets, heard.lost) == (500, 86_000, 0)
    assert heard.mos == pytest.approx(4.41, abs=0.005)


def test_loss_and_jitter_are_weighed_by_packets() -> None:
    heard = measured(stats(300, lost=100, jitter_ms=10.0), stats(100, lost=0, jitter_ms=50.0)).heard(b"pcmu")
    assert heard.loss == pytest.approx(0.2)
    assert heard.jitter_ms == pytest.approx(20.0)
    assert heard.mos == pytest.approx(2.6, abs=0.1)


def test_late_packets_are_taken_off_the_lost_ones_again() -> None:
    assert measured(stats(lost=3), stats(lost=-3)).heard(b"pcmu").loss == 0.0
    assert measured(stats(lost=-1)).heard(b"pcmu").lost == 0


def test_delay_is_that_of_the_whole_way() -> None:
    quality = measured(stats(round_trip_ms=300.0), stats(round_trip_ms=500.0))
    assert quality.heard(b"pcmu").round_trip_ms == 400.0
    assert quality.heard(b"pcmu", beyond_ms=150.0).rating < quality.heard(b"pcmu").rating
    assert measured(stats()).heard(b"pcmu").round_trip_ms is None


def test_who_was_never_heard_has_the_worst_score() -> None:
    heard = Quality().heard(b"pcmu")
    assert (heard.packets, heard.rating, heard.mos) == (0, 0.0, 1.0)


def test_silence_counts_where_a_side_should_send() -> None:
    quiet = measured(stats(0, silent_s=SILENT_S))
    assert quiet.is_silent(should_send=True)
    assert not quiet.is_silent(should_send=False)
    assert not measured(stats(silent_s=SILENT_S - 0.1)).is_silent(should_send=True)


def test_one_way_audio_is_one_silent_side_of_two_that_should_send() -> None:
    loud, quiet = measured(stats()), measured(stats(0, silent_s=60.0))
    assert is_one_way(loud, quiet, True, True)
    assert is_one_way(quiet, loud, True, True)
    assert not is_one_way(loud, loud, True, True)
    assert not is_one_way(quiet, quiet, True, True)
    assert not is_one_way(loud, quiet, True, False)  # on hold
