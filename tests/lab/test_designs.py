"""S21 to S24 on identical calls: what each was dropped, or chosen, for."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.designs import DESIGNS, compare_designs, topology_of
from lab.errors import InputError
from lab.plots import draw_designs

NATS = {"full_cone", "restricted", "port_restricted", "symmetric", "linux", "home", "carrier"}


@pytest.fixture(scope="module")
def compared() -> pd.DataFrame:
    """The packaged comparison, with half of its calls, its death and its return twice as early."""
    plain = topology_of("S24").model_dump(mode="json", by_alias=True, exclude_defaults=True)
    scenario = plain["scenarios"]["death"]
    scenario["duration_s"] = 700
    for traffic in scenario["traffic"]:
        traffic["rate_per_s"] /= 2
    for fault, at_s in zip(scenario["faults"], (250, 550), strict=True):
        fault["at_s"] = at_s
    return compare_designs(chosen=type(topology_of("S24")).model_validate(plain)).set_index(["design", "client"])


def reached(compared: pd.DataFrame, design: str) -> dict[str, float]:
    return {str(client): float(share) for client, share in compared.loc[design].reached_before.items()}


def test_a_direct_contact_works_in_one_lan_and_behind_the_kindest_nat(compared: pd.DataFrame) -> None:
    shares = reached(compared, "S21")
    assert shares.pop("lan") == shares.pop("full_cone") == 1.0
    assert set(shares) == NATS - {"full_cone"} | {"browsers"}
    assert max(shares.values()) == 0.0


def test_client_side_failover_reaches_half_and_a_death_sends_half_to_log_in_anew(compared: pd.DataFrame) -> None:
    shares = reached(compared, "S22")
    assert shares["lan"] == shares["full_cone"] == 1.0
    assert all(shares[nat] == pytest.approx(0.5, abs=0.05) for nat in NATS - {"full_cone"})
    ours = compared.loc["S22"].loc[sorted(NATS - {"full_cone"})]
    assert ours.cut_off.mean() == pytest.approx(0.5, abs=0.1)
    assert (compared.loc["S22"].calls_lost > 0).all()


def test_the_media_flag_suits_browsers_alone(compared: pd.DataFrame) -> None:
    shares = reached(compared, "S23")
    assert shares.pop("browsers") == 1.0
    assert set(shares.values()) == {0.0}


def test_the_chosen_design_reaches_everybody_all_the_time(compared: pd.DataFrame) -> None:
    ours = compared.loc["S24"]
    assert (ours.reached_before == 1.0).all()
    assert (ours.reached_after >= 0.99).all()
    assert (ours.cut_off == 0.0).all()


def test_the_picture_has_a_row_for_each_design(compared: pd.DataFrame) -> None:
    figure = draw_designs(compared.reset_index())
    upper, lower, *bars = figure.axes
    assert [label.get_text().split()[0] for label in upper.get_yticklabels()] == list(DESIGNS)
    assert next(label.get_text() for label in lower.get_xticklabels()) == "lan"
    lost, away = ([bar.get_width() for bar in axes.patches] for axes in bars)
    assert lost == list(compared.groupby("design").calls_lost.sum())
    assert away == list(compared.groupby("design").unreachable_s.max())


def test_an_unknown_design_is_told_in_one_line() -> None:
    with pytest.raises(InputError, match="S21, S22, S23, S24"):
        topology_of("S25")
