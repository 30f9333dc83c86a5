"""Capacity formulas, against published tables and against other people's programs."""

from __future__ import annotations

from heapq import heapreplace
from itertools import pairwise
from random import Random

import pytest

from lab.capacity import (
    agents_for,
    channels_for,
    erlang_b,
    erlang_c,
    erlangs_for,
    mean_wait_s,
    service_level,
    stream_kbit_per_s,
)
from lab.errors import InputError


class TestErlangB:
    @pytest.mark.parametrize(
        ("offered", "channels", "blocked"), [(10, 15, 0.0365), (20, 30, 0.00846), (100, 117, 0.0098)]
    )
    def test_published_points(self, offered: float, channels: int, blocked: float) -> None:
        assert erlang_b(offered, channels) == pytest.approx(blocked, rel=0.005)

    @pytest.mark.parametrize(
        ("channels", "at_1_percent", "at_2_percent"),
        [
            (1, 0.0101, 0.0204),
            (5, 1.36, 1.66),
            (10, 4.46, 5.08),
            (20, 12.0, 13.2),
            (50, 37.9, 40.3),
            (100, 84.1, 88.0),
        ],
    )
    def test_the_table_in_every_textbook(self, channels: int, at_1_percent: float, at_2_percent: float) -> None:
        assert erlangs_for(channels, 0.01) == pytest.approx(at_1_percent, rel=0.005)
        assert erlangs_for(channels, 0.02) == pytest.approx(at_2_percent, rel=0.005)

    def test_the_fewest_channels_are_just_enough(self) -> None:
        for offered in (0.5, 3, 60, 417.3):
            channels = channels_for(offered, 0.01)
            assert erlang_b(offered, channels) <= 0.01 < erlang_b(offered, channels - 1)

    def test_no_traffic_takes_no_channel_and_many_channels_no_time(self) -> None:
        assert erlang_b(0, 0) == 1.0
        assert erlang_b(0, 3) == 0.0
        assert erlang_b(100, 1_000_000) == 0.0


class TestErlangC:
    def test_published_point(self) -> None:
        assert erlang_c(10, 14) == pytest.approx(0.1741, abs=5e-5)
        assert service_level(10, 14, handling_s=180, within_s=20) == pytest.approx(0.8884, abs=5e-5)

    def test_pyworkforce_says_the_same(self) -> None:
        queuing = pytest.importorskip("pyworkforce.queuing", reason="pyworkforce (extra test) is not installed")
        random = Random(1)
        for _ in range(20):
            calls, handling_min, agents = random.randint(20, 400), random.uniform(1, 6), random.randint(2, 60)
            offered = calls * handling_min / 30
            if agents <= offered:
                continue
            other = queuing.ErlangC(transactions=calls, asa=20 / 60, aht=handling_min, interval=30, shrinkage=0)
            assert erlang_c(offered, agents) == pytest.approx(other.waiting_probability(agents), abs=1e-9)
            level = service_level(offered, agents, handling_min * 60, 20)
            assert level == pytest.approx(other.service_level(agents), abs=1e-9)

    def test_agents_that_cannot_keep_up_let_everybody_wait_for_ever(self) -> None:
        assert erlang_c(10, 10) == 1.0
        assert service_level(10, 10, handling_s=180, within_s=20) == 0.0
        assert mean_wait_s(10, 9, handling_s=180) == float("inf")

    def test_the_fewest_agents_are_just_enough(self) -> None:
        for offered in (0.0, 0.3, 10, 75.5):
            agents = agents_for(offered, 0.9, handling_s=200, within_s=15)
            assert service_level(offered, agents, 200, 15) >= 0.9
            assert agents == 1 or service_level(offered, agents - 1, 200, 15) < 0.9

    def test_a_simulated_queue_waits_as_long(self) -> None:
        random, agents, handling_s = Random(3), 14, 180.0
        free_at_s = [0.0] * agents  # a heap: who of them is free first
        now_s, waits_s = 0.0, []
        for _ in range(200_000):
            now_s += random.expovariate(10 / handling_s)
            begins_s = max(now_s, free_at_s[0])
            heapreplace(free_at_s, begins_s + random.expovariate(1 / handling_s))
            waits_s.append(begins_s - now_s)
        assert sum(wait_s > 0 for wait_s in waits_s) / len(waits_s) == pytest.approx(erlang_c(10, 14), abs=0.015)
        assert sum(waits_s) / len(waits_s) == pytest.approx(mean_wait_s(10, 14, handling_s), rel=0.15)


class TestBandwidth:
    @pytest.mark.parametrize(
        ("codec", "packet_ms", "kbit_per_s"),
        [("PCMA", 20, 80), ("g711", 20, 80), ("G729", 20, 24), ("PCMU", 30, 64 + 40 * 8 / 30), ("GSM", 20, 29.2)],
    )
    def test_headers_count(self, codec: str, packet_ms: float, kbit_per_s: float) -> None:
        assert stream_kbit_per_s(codec, packet_ms) == pytest.approx(kbit_per_s)

    def test_longer_packets_take_less(self) -> None:
        rates = [stream_kbit_per_s("G729", packet_ms) for packet_ms in (10, 20, 30, 40)]
        assert all(later < earlier for earlier, later in pairwise(rates))

    def test_what_srtp_ipv6_and_the_cable_add(self) -> None:
        assert stream_kbit_per_s("PCMA", ip=6) - stream_kbit_per_s("PCMA") == pytest.approx(8)
        assert stream_kbit_per_s("PCMA", srtp=True) - stream_kbit_per_s("PCMA") == pytest.approx(4)
        assert stream_kbit_per_s("PCMA", ethernet=True) == pytest.approx(95.2)  # the figure in dimensioning guides


class TestBadInput:
    def test_each_is_refused_with_its_remedy(self) -> None:
        for wrong, words in (
            (lambda: stream_kbit_per_s("G792"), "G729"),
            (lambda: stream_kbit_per_s("G729", 25), "multiple"),
            (lambda: channels_for(10, 1.0), "0.01 for 1 %"),
            (lambda: channels_for(-1, 0.01), "from 0"),
            (lambda: channels_for(float("nan"), 0.01), "from 0"),
            (lambda: agents_for(10, 1.5, 180, 20), "share"),
        ):
            with pytest.raises(InputError, match=words):
                wrong()
