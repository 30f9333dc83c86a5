"""Four designs on identical calls: what each was dropped, or chosen, for."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.designs import DESIGNS, compare_designs, in_words, topology_of
from lab.errors import InputError
from lab.plots import draw_designs

NATS = {"full_cone", "restricted", "port_restricted", "symmetric", "linux", "home", "carrier"}


@pytest.fixture(scope="module")
def compared() -> pd.DataFrame:
    """The packaged comparison, with half of its calls, its death and its return twice as early."""
    chosen = topology_of("edge_as_contact")
    plain = chosen.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    scenario = plain["scenarios"]["death"]
    scenario["duration_s"] = 700
    for traffic in scenario["traffic"]:
        traffic["rate_per_s"] /= 2
    for fault, at_s in zip(scenario["faults"], (250, 550), strict=True):
        fault["at_s"] = at_s
    return compare_designs(chosen=chosen.model_validate(plain)).set_index(["design", "client"])


def reached(compared: pd.DataFrame, design: str) -> dict[str, float]:
    return {str(client): float(share) for client, share in compared.loc[design].reached_before.items()}


def test_a_direct_contact_works_in_one_lan_and_behind_the_kindest_nat(compared: pd.DataFrame) -> None:
    shares = reached(compared, "direct_contact")
    assert shares.pop("lan") == shares.pop("full_cone") == 1.0
    assert set(shares) == NATS - {"full_cone"} | {"browsers"}
    assert max(shares.values()) == 0.0


def test_client_side_failover_reaches_half_and_a_death_sends_half_to_log_in_anew(compared: pd.DataFrame) -> None:
    shares = reached(compared, "client_side_failover")
    assert shares["lan"] == shares["full_cone"] == 1.0
    assert all(shares[nat] == pytest.approx(0.5, abs=0.05) for nat in NATS - {"full_cone"})
    ours = compared.loc["client_side_failover"].loc[sorted(NATS - {"full_cone"})]
    assert ours.cut_off.mean() == pytest.approx(0.5, abs=0.1)
    assert (compared.loc["client_side_failover"].calls_lost > 0).all()


def test_the_media_flag_suits_browsers_alone(compared: pd.DataFrame) -> None:
    shares = reached(compared, "media_flag")
    assert shares.pop("browsers") == 1.0
    assert set(shares.values()) == {0.0}


def test_the_chosen_design_reaches_everybody_all_the_time(compared: pd.DataFrame) -> None:
    ours = compared.loc["edge_as_contact"]
    assert (ours.reached_before == 1.0).all()
    assert (ours.reached_after >= 0.99).all()
    assert (ours.cut_off == 0.0).all()


def test_the_picture_has_a_row_for_each_design(compared: pd.DataFrame) -> None:
    figure = draw_designs(compared.reset_index())
    upper, lower, *bars = figure.axes
    assert [label.get_text() for label in upper.get_yticklabels()] == [in_words(name) for name in DESIGNS]
    assert next(label.get_text() for label in lower.get_xticklabels()) == "lan"
    lost, away = ([bar.get_width() for bar in axes.patches] for axes in bars)
    assert lost == list(compared.groupby("design", sort=False).calls_lost.sum())
    assert away == list(compared.groupby("design", sort=False).unreachable_s.max())


def test_an_unknown_design_is_told_in_one_line() -> None:
    with pytest.raises(InputError, match="direct_contact, client_side_failover, media_flag, edge_as_contact"):
        topology_of("by_chance")
