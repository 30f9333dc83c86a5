"""Agents over the real engine in virtual time: who is logged out, when, why, and what cures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from engine.notes import ContactUnbound
from lab.experiments.settings import with_settings
from lab.facts import Gathering
from lab.reach import ReachFigures, reach_figures
from sim.agents.notes import CallEnded, CallTaken, Connected, OrderRefused, Registered
from sim.run import Run, simulate
from topologies import Topology, load, parse

TEXT = """
edges:
  edge1:
    interfaces:
      phones: {{host: 127.0.0.1}}
      ws: {{host: 127.0.0.1, port: 5066, transport: ws}}
      wss: {{host: 127.0.0.1, port: 7443, transport: wss}}
      inside: {{host: 127.0.0.2}}
    registrar: {{secret: kept over restarts}}
nodes:
  FS1: {{host: 127.0.1.1, interface: inside, model: {{ping_s: {ping_s}}}}}
clients:
  phone: {{kind: softphone, host: 127.0.2.1, users: 1000-{phones}, expires_s: 3600}}
  page: {{kind: browser, transport: ws, host: 127.0.2.2, users: 1005-{pages}}}
  safe: {{kind: browser, host: 127.0.2.3, users: 1010-{safe}}}
scenarios:
  day:
    duration_s: {duration_s}
    faults: [{faults}]
"""


@dataclass
class Day:
    """A run and what its agents saw."""

    run: Run
    figures: ReachFigures
    rows: list[Any]

    def noted(self, kind: type, place: str = "") -> list[Any]:
        return [
            (each.time_s, each.note)
            for each in self.run.notes
            if isinstance(each.note, kind) and each.place.startswith(place)
        ]


def day(topology: Topology, **more: Any) -> Day:
    gathering = Gathering()
    run = simulate(topology, on_note=gathering.on_note, record="notes", **more)
    facts = gathering.facts
    return Day(run, reach_figures(facts.registrations, facts.pings, 0.0, run.duration_s), facts.registrations)


def three(*faults: str, duration_s: float = 60.0, ping_s: float = 0.0, each: int = 1) -> Topology:
    """Users 1000 on, 1005 on and 1010 on, over UDP, ws and wss."""
    return parse(
        TEXT.format(
            faults=", ".join(faults),
            duration_s=duration_s,
            ping_s=ping_s,
            phones=999 + each,
            pages=1004 + each,
            safe=1009 + each,
        ).encode()
    )


# --- the failure of 2021 and its remedies -------------------------------------------------------------------


def test_browsers_of_2021_are_logged_out_at_the_second_minute_and_phones_are_not() -> None:
    morning = day(load("seed_2021"))
    gone = [row for row in morning.rows if row.state == "unreachable" and row.began_at_s < morning.run.duration_s]
    logged_in = {row.agent: row.began_at_s for row in reversed(morning.rows) if row.state == "reachable"}
    first = {row.agent: row.began_at_s for row in reversed(gone)}
    assert {agent.partition("/")[0] for agent in first} == {"browsers", "forgetful"}
    assert len(first) == 20
    assert all(-0.2 < at_s - logged_in[agent] - 120.0 < 1.5 for agent, at_s in first.items())
    assert {row.why for row in gone} == {"edge1: connection lost: idle for 120 s"}
    away = {row.agent: (row.ended_at_s or 900.0) - row.began_at_s for row in gone}
    assert all(2.0 < away[agent] < 3.0 for agent in away if agent.startswith("browsers/"))
    assert all(away[agent] > 700.0 for agent in away if agent.startswith("forgetful/"))
    assert morning.run.violations == []  # each of them was told, by the end of its connection


@pytest.mark.parametrize(
    "remedy",
    [
        {"edges.edge1.registrar.agent_max_expires_s": 60},
        {"edges.edge1.streams.lifetime": "above_expiry"},
        {"edges.edge1.streams.lifetime": "follows_registration"},
    ],
    ids=lambda remedy: next(iter(remedy)).rpartition(".")[2] + f"={next(iter(remedy.values()))}",
)
def test_each_remedy_cures_it(remedy: dict[str, Any]) -> None:
    cured = day(with_settings(load("seed_2021"), remedy, "quiet_morning"))
    assert (cured.figures.agents, cured.figures.log_outs, cured.figures.unreachable_s) == (40, 0, 0.0)
    assert cured.figures.share == 1.0
    assert cured.run.violations == []


# --- the ladder of checks (registering) ---------------------------------------------------------------------


def originate(at_s: float, user: int) -> str:
    return f"{{at_s: {at_s}, kind: originate, target: FS1, user: {user}}}"


def test_the_node_reaches_agents_that_registered_over_udp_ws_and_wss() -> None:
    calls = day(three(originate(10, 1000), originate(11, 1005), originate(12, 1010)))
    assert [note.user for _, note in calls.noted(CallTaken)] == ["1000", "1005", "1010"]
    assert not calls.noted(OrderRefused)
    assert {note.why for _, note in calls.noted(CallEnded)} == {"hung up"}
    assert calls.run.violations == []
    assert calls.run.drained


def test_pings_of_the_node_reach_each_of_them_too() -> None:
    asked = day(three(duration_s=300, ping_s=20))
    assert asked.figures.pings > 30
    assert (asked.figures.pings_failed, asked.figures.share) == (0, 1.0)
    assert asked.run.violations == []


# --- what befalls agents ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("client", "user"), [("page", 1005), ("safe", 1010)])
def test_a_call_outlives_the_cut_of_its_websocket_and_the_far_side_can_end_it(client: str, user: int) -> None:
    story = day(
        three(
            f"{{at_s: 10, kind: call, target: phone/1000, to: {user}, hold_s: 100}}",
            f"{{at_s: 15, kind: cut, between: [{client}, edge1]}}",
            "{at_s: 20, kind: hangup, target: phone}",
        )
    )
    assert len(story.noted(Connected, client)) == 2
    ended = {note.user: (at_s, note.why) for at_s, note in story.noted(CallEnded)}
    assert ended["1000"] == (pytest.approx(20.0, abs=0.1), "hung up")
    assert ended[str(user)] == (pytest.approx(20.0, abs=0.1), "far end hung up")
    assert story.run.violations == []


@pytest.mark.parametrize(("client", "user"), [("page", 1005), ("safe", 1010)])
def test_a_call_that_a_browser_made_can_be_ended_by_either_side_after_a_cut(client: str, user: int) -> None:
    for hanging_up in (client, "phone"):
        story = day(
            three(
                f"{{at_s: 10, kind: call, target: {client}/{user}, to: 1000, hold_s: 100}}",
                f"{{at_s: 15, kind: cut, between: [{client}, edge1]}}",
                f"{{at_s: 20, kind: hangup, target: {hanging_up}}}",
            )
        )
        ends = [(round(at_s), note.why) for at_s, note in story.noted(CallEnded)]
        assert sorted(ends) == [(20, "far end hung up"), (20, "hung up")], hanging_up
        assert story.run.violations == []


@pytest.mark.parametrize(("client", "user"), [("page", 1005), ("safe", 1010)])
def test_a_call_and_a_bye_that_come_while_the_websocket_is_away_are_not_lost(client: str, user: int) -> None:
    story = day(
        three(
            f"{{at_s: 10, kind: call, target: phone/1000, to: {user}, hold_s: 100}}",
            f"{{at_s: 15, kind: cut, between: [{client}, edge1]}}",
            "{at_s: 15.5, kind: hangup, target: phone}",
            f"{{at_s: 30, kind: cut, between: [{client}, edge1]}}",
            originate(30.5, user),
        )
    )
    ended = [(note.user, at_s, note.why) for at_s, note in story.noted(CallEnded)]
    assert (str(user), pytest.approx(17.1, abs=0.3), "far end hung up") in ended
    assert [round(at_s) for at_s, note in story.noted(CallTaken, client)] == [11, 33]
    assert story.run.violations == []


def test_a_killed_edge_loses_no_udp_agent_and_websockets_are_back_within_their_back_off() -> None:
    faults = ("{at_s: 40, kind: kill, target: edge1}", "{at_s: 41, kind: start, target: edge1}")
    story = day(three(*faults, originate(45, 1000), duration_s=120, ping_s=2, each=5))
    assert story.figures.agents == 15
    away = [row for row in story.rows if row.state == "unreachable" and row.began_at_s < 120]
    assert len(away) == 15
    for row in away:
        assert row.began_at_s == pytest.approx(40.0, abs=0.01)
        assert (row.ended_at_s or 120.0) - row.began_at_s < (1.1 if row.agent.startswith("phone/") else 4.5), row
    assert [note.user for _, note in story.noted(CallTaken)] == ["1000"]
    answered = [ping for ping in story.run.notes if type(ping.note).__name__ == "UserPinged" and ping.time_s > 47]
    assert len(answered) > 100
    assert all(ping.note.status == 200 for ping in answered if ping.time_s < 119)
    registered = [at_s for at_s, _ in story.noted(Registered, "phone/")]
    assert not [at_s for at_s in registered if 5 < at_s < 120]  # none had to register anew


def test_an_agent_in_another_network_is_reached_there() -> None:
    story = day(
        three(
            "{at_s: 20, kind: change_network, target: phone, host: 127.0.9.1}",
            "{at_s: 20, kind: change_network, target: page, host: 127.0.9.2}",
            "{at_s: 20, kind: change_network, target: safe, host: 127.0.9.3}",
            originate(25, 1000),
            originate(26, 1005),
            originate(27, 1010),
        )
    )
    assert [note.user for _, note in story.noted(CallTaken)] == ["1000", "1005", "1010"]


def test_a_closed_tab_is_forgotten_at_once_and_an_opened_one_reached_again() -> None:
    story = day(
        three(
            "{at_s: 10, kind: close_tab, target: page}",
            "{at_s: 30, kind: open_tab, target: page}",
            originate(40, 1005),
        )
    )
    assert next(round(at_s) for at_s, note in story.noted(ContactUnbound) if note.aor.startswith("1005")) == 10
    assert [note.user for _, note in story.noted(CallTaken)] == ["1005"]
    assert story.figures.log_outs == 0
    assert story.run.violations == []


def test_a_suspended_laptop_is_given_up_by_pings_and_comes_back() -> None:
    story = day(
        three(
            "{at_s: 10, kind: sleep, target: safe}",
            "{at_s: 200, kind: wake, target: safe}",
            originate(240, 1010),
            duration_s=300,
        )
    )
    (given_up_s,) = [at_s for at_s, note in story.noted(ContactUnbound) if "ping" in note.why]
    assert 10.0 < given_up_s < 50.0
    assert [note.user for _, note in story.noted(CallTaken)] == ["1010"]


def test_throttled_timers_may_log_an_agent_out_and_the_checker_says_so() -> None:
    text = three(duration_s=1500).to_yaml()
    text = text.replace("kind: browser", "kind: browser\n    tab: throttled\n    refresh_share: 0.95")
    text = text.replace("interface: inside", "interface: inside\n    model: {force_expires_s: 170}")
    story = day(parse(text.encode()))
    silent = [each for each in story.run.violations if each.checker == "silent log-outs"]
    assert silent
    assert "believes to be registered, but edge1 forgot it: expired" in silent[0].text


def test_a_whole_day_logs_nobody_out() -> None:
    story = day(three(duration_s=86_400, each=3))
    assert (story.figures.agents, story.figures.log_outs, story.figures.share) == (9, 0, 1.0)
    assert story.run.violations == []
