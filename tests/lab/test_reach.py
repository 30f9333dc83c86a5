"""When agents could be reached: rows from notes, figures from rows."""

from __future__ import annotations

import pytest

from engine.boundary import Note
from engine.notes import ContactBound, ContactUnbound
from lab.plots.agents import reach_steps
from lab.reach import Reach, Registration, reach_figures
from lab.results import to_frames
from lab.simulation import run_simulation
from sim.agents.notes import Registered, RegistrationLost, TabClosed, Unregistered, UserPinged
from sim.faults import FaultApplied
from topologies import load

AGENT, EDGE, USER = "web/1000", "edge1", "1000"
CONTACT = "sip:x@y.invalid;transport=ws"


def rows(*told: tuple[float, str, Note]) -> list[tuple[str, float, float | None, str]]:
    reach = Reach()
    for time_s, place, note in told:
        reach.take(time_s, place, note)
    return [(each.state, each.began_at_s, each.ended_at_s, each.why) for each in reach.registrations]


def bound(time_s: float, contact: str = CONTACT) -> tuple[float, str, Note]:
    return time_s, EDGE, ContactBound("1000@lab.test", contact, "127.0.0.1:1", "FS1", ())


def unbound(time_s: float, why: str, contact: str = CONTACT) -> tuple[float, str, Note]:
    return time_s, EDGE, ContactUnbound("1000@lab.test", contact, why)


def registered(time_s: float) -> tuple[float, str, Note]:
    return time_s, AGENT, Registered(USER, 180.0, 0.1)


def befallen(time_s: float, kind: str, target: str) -> tuple[float, str, Note]:
    return time_s, "world", FaultApplied(kind, target, "", "")


def test_an_agent_is_reachable_from_its_registration_to_its_withdrawal() -> None:
    assert rows(bound(1.0), registered(1.1), unbound(9.0, "withdrawn"), (9.1, AGENT, Unregistered(USER))) == [
        ("reachable", 1.1, 9.0, ""),
        ("unreachable", 9.0, 9.1, "edge1: withdrawn"),
        ("logged off", 9.1, None, ""),
    ]


def test_whoever_notices_first_that_it_is_gone_says_why() -> None:
    lost = RegistrationLost(USER, "closed by peer")
    assert rows(bound(1.0), registered(1.1), unbound(120.0, "idle for 120 s"), (120.1, AGENT, lost)) == [
        ("reachable", 1.1, 120.0, ""),
        ("unreachable", 120.0, None, "edge1: idle for 120 s"),
    ]
    assert rows(bound(1.0), registered(1.1), (50.0, AGENT, RegistrationLost(USER, "network changed")))[1:] == [
        ("unreachable", 50.0, None, "network changed")
    ]


def test_a_new_binding_before_the_old_one_goes_leaves_no_gap() -> None:
    assert rows(bound(1.0), registered(1.1), bound(5.0, "sip:b"), unbound(6.0, "lost"), registered(7.0)) == [
        ("reachable", 1.1, None, "")
    ]


def test_processes_that_are_away_reach_nobody() -> None:
    assert rows(
        bound(1.0),
        registered(1.1),
        befallen(2.0, "kill", EDGE),
        befallen(3.0, "start", EDGE),
        befallen(4.0, "sleep", AGENT),
        befallen(6.0, "wake", AGENT),
        befallen(7.0, "kill", "FS1"),
    ) == [
        ("reachable", 1.1, 2.0, ""),
        ("unreachable", 2.0, 3.0, "edge1 killed"),
        ("reachable", 3.0, 4.0, ""),
        ("unreachable", 4.0, 6.0, "web/1000 asleep"),
        ("reachable", 6.0, None, ""),
    ]


def test_a_closed_tab_is_no_log_out() -> None:
    told = rows(bound(1.0), registered(1.1), (5.0, AGENT, TabClosed(USER)), unbound(5.1, "closed by peer"))
    assert [state for state, *_ in told] == ["reachable", "logged off"]


def spans(*lengths: tuple[str, float, float | None]) -> list[Registration]:
    return [Registration(AGENT, USER, state, began, ended) for state, began, ended in lengths]  # type: ignore[arg-type]


def test_figures_count_the_time_in_which_agents_wanted_to_be_reached() -> None:
    told = spans(("reachable", 0, 60), ("unreachable", 60, 70), ("reachable", 70, 100), ("logged off", 100, None))
    reach = Reach()
    for time_s, status in ((10.0, 200), (65.0, 408), (150.0, 503)):
        reach.take(time_s, "FS1", UserPinged("FS1", USER, status, 0.1))
    figures = reach_figures(told, reach.pings, 0.0, 120.0)
    assert (figures.agents, figures.share, figures.log_outs) == (1, pytest.approx(0.9), 1)
    assert (figures.unreachable_s, figures.longest_s) == (10.0, 10.0)
    assert (figures.pings, figures.pings_failed) == (2, 1)
    warm = reach_figures(told, reach.pings, 65.0, 120.0)
    assert (warm.log_outs, warm.unreachable_s) == (0, 5.0)
    assert reach_figures([], [], 0.0, 10.0).share is None


def test_steps_count_agents_in_each_state() -> None:
    told = spans(("reachable", 0, 60), ("unreachable", 60, 70), ("logged off", 70, None))
    assert reach_steps(told) == [(0, 1, 0), (60, 0, 1), (70, 0, 0)]


def test_a_run_has_its_registrations_as_a_table_and_in_its_summary() -> None:
    from lab.report import report_on

    report = report_on(run_simulation(load("seed_2021"), duration_s=130))
    frame = to_frames(report.facts).registrations
    assert set(frame["state"]) == {"reachable", "unreachable", "logged off"}
    gone = frame[(frame["state"] == "unreachable") & (frame["began_at_s"] < 130)]
    assert set(gone["why"]) == {"edge1: connection lost: idle for 120 s"}
    assert report.summary.agents.log_outs == len(gone) == 10
    assert report.to_json()["agents"]["log_outs"] == 10
