"""The table of NATs and keep-alive intervals has the shape that the NATs' rules give it."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest

from lab.nat_table import INTERVALS_S, nat_table
from sim.nat import PRESETS


def reached(table: pd.DataFrame, **wanted: object) -> float:
    rows = table
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return float(rows["reached"].iloc[0])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return nat_table(devices=100)


def test_every_preset_and_interval_has_its_cell(table: pd.DataFrame) -> None:
    assert len(table) == len(PRESETS) * len(INTERVALS_S)
    assert table["reached"].between(0.0, 1.0).all()
    assert list(table) == ["preset", "interval_s", "keeper", "caller", "devices", "reached"]


def test_without_keep_alives_nobody_is_reached(table: pd.DataFrame) -> None:
    assert (table[table["interval_s"] == 0.0]["reached"] == 0.0).all()


def test_the_edges_default_of_25_s_reaches_everybody(table: pd.DataFrame) -> None:
    assert (table[table["interval_s"] == 25.0]["reached"] == 1.0).all()


def test_a_longer_interval_never_reaches_more(table: pd.DataFrame) -> None:
    for name, rows in table[table["interval_s"] > 0.0].groupby("preset"):
        assert rows.sort_values("interval_s")["reached"].is_monotonic_decreasing, name


def test_linux_must_be_kept_alive_within_its_30_s_though_it_grants_120_later(table: pd.DataFrame) -> None:
    """The registration and its answer are over within two seconds, so it is no stream yet."""
    assert reached(table, preset="linux_masquerade", interval_s=29.0) == 1.0
    assert reached(table, preset="linux_masquerade", interval_s=45.0) == 0.0


def test_fixed_time_outs_are_all_or_nothing(table: pd.DataFrame) -> None:
    for name, longest_s in (("full_cone", 180.0), ("symmetric", 90.0), ("carrier_grade", 150.0)):
        for interval_s in INTERVALS_S[1:]:
            expected = 1.0 if interval_s <= longest_s else 0.0
            assert reached(table, preset=name, interval_s=interval_s) == expected, (name, interval_s)


def test_home_gateways_are_lost_one_by_one(table: pd.DataFrame) -> None:
    shares = [reached(table, preset="home_gateway", interval_s=each) for each in (29.0, 60.0, 120.0, 180.0, 300.0)]
    assert shares[0] == 1.0
    assert all(earlier > later for earlier, later in pairwise(shares))
    assert shares[3] == pytest.approx(0.5, abs=0.12)


def test_who_else_may_call_is_the_filters_decision() -> None:
    table = nat_table(intervals_s=[25.0], callers=["edge", "other port", "stranger"], devices=5)
    for preset in PRESETS:
        calls = [
            reached(table, preset=preset, caller=caller) == 1.0 for caller in ("edge", "other port", "stranger")
        ]
        expected = {"full_cone": [True, True, True], "restricted": [True, True, False]}
        assert calls == expected.get(preset, [True, False, False]), preset


def test_keep_alives_of_the_agent_or_without_an_answer_do_as_well() -> None:
    table = nat_table(["symmetric", "linux_masquerade"], intervals_s=[25.0], keepers=["agent", "edge unanswered"])
    assert (table["reached"] == 1.0).all()


def test_the_same_seed_gives_the_same_table() -> None:
    draw = {"presets": ["home_gateway"], "intervals_s": [60.0, 120.0], "devices": 20}
    assert nat_table(**draw, seed=3).equals(nat_table(**draw, seed=3))
