"""Agents on real sockets: registered over each transport, reached, cut off; and the failure of 2021, shortened."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.facts import gather
from lab.outcome import Outcome
from lab.reach import reach_figures
from lab.rehearsal import rehearse_topology
from sim.agents.notes import CallEnded, CallTaken, Connected, OrderRefused, Registered
from topologies import Topology, parse

STORY = """
edges:
  edge1:
    interfaces:
      phones: {host: 127.0.0.1}
      ws: {host: 127.0.0.1, port: 5066, transport: ws}
      wss: {host: 127.0.0.1, port: 7443, transport: wss}
      inside: {host: 127.0.0.2}
    registrar: {secret: kept over restarts}
nodes:
  FS1: {host: 127.0.1.1, interface: inside, model: {ping_s: 1}}
clients:
  phone: {kind: softphone, host: 127.0.2.1, users: 1000-1000, register_spread_s: 0.2}
  page: {kind: browser, transport: ws, host: 127.0.2.2, users: 1005-1005, register_spread_s: 0.2}
  safe: {kind: browser, host: 127.0.2.3, users: 1010-1010, register_spread_s: 0.2}
scenarios:
  story:
    duration_s: 16
    faults:
      - {at_s: 1.0, kind: originate, target: FS1, user: 1000}
      - {at_s: 1.0, kind: originate, target: FS1, user: 1005}
      - {at_s: 1.0, kind: originate, target: FS1, user: 1010}
      - {at_s: 3.0, kind: hangup, target: phone}
      - {at_s: 3.0, kind: hangup, target: page}
      - {at_s: 3.0, kind: hangup, target: safe}
      - {at_s: 3.5, kind: call, target: phone/1000, to: 1010, hold_s: 60}
      - {at_s: 5.5, kind: cut, between: [safe, edge1]}
      - {at_s: 8.5, kind: hangup, target: phone}
      - {at_s: 10.0, kind: kill, target: edge1}
      - {at_s: 10.5, kind: start, target: edge1}
      - {at_s: 11.5, kind: originate, target: FS1, user: 1000}
"""


@pytest.fixture(scope="module")
def story() -> Outcome:
    return rehearse_topology(parse(STORY.encode()), free_ports=True, drain_s=10)


def noted(outcome: Outcome, kind: type, place: str = "") -> list[Any]:
    return [
        (each.time_s, each.note)
        for each in outcome.notes
        if isinstance(each.note, kind) and each.place.startswith(place)
    ]


def test_the_node_reaches_agents_that_registered_over_udp_ws_and_wss(story: Outcome) -> None:
    taken = [note.user for at_s, note in noted(story, CallTaken) if at_s < 3.0]
    assert sorted(taken) == ["1000", "1005", "1010"]
    assert not noted(story, OrderRefused)
    assert story.violations == []


def test_after_a_cut_in_a_call_the_far_sides_bye_reaches_the_browser_on_its_new_connection(story: Outcome) -> None:
    opened = [at_s for at_s, _ in noted(story, Connected, "safe")]
    assert 7.4 < opened[1] < 8.5  # JsSIP waits for 2 s
    ends = {note.user: note.why for at_s, note in noted(story, CallEnded) if 8.0 < at_s < 9.5}
    assert ends == {"1000": "hung up", "1010": "far end hung up"}


def test_after_a_killed_edge_came_back_udp_agents_need_no_new_registration(story: Outcome) -> None:
    assert [note.user for at_s, note in noted(story, CallTaken) if at_s > 11.0] == ["1000"]
    assert not [at_s for at_s, _ in noted(story, Registered, "phone") if at_s > 2.0]


def test_websocket_agents_are_back_within_their_back_off(story: Outcome) -> None:
    for client in ("page", "safe"):
        back = [at_s for at_s, _ in noted(story, Registered, client) if at_s > 10.0]
        assert back, client
        assert back[0] - 10.0 < 2.0 + 1.5, client


# --- the failure of 2021, ten times as fast -----------------------------------------------------------------

REMEDIES: dict[str, tuple[str, str, Any]] = {
    "none": ("streams", "lifetime", "fixed"),
    "smaller_expiry": ("registrar", "agent_max_expires_s", 10),
    "above_expiry": ("streams", "lifetime", "above_expiry"),
    "follows_registration": ("streams", "lifetime", "follows_registration"),
}


def edge(number: int, section: str, key: str, value: Any) -> dict[str, Any]:
    settings: dict[str, dict[str, Any]] = {
        "interfaces": {
            "web": {"host": f"127.0.{number}.1", "port": 5066, "transport": "ws"},
            "inside": {"host": f"127.0.{number}.2"},
        },
        "registrar": {"agent_min_expires_s": 1, "node_min_expires_s": 1},
        "streams": {"lifetime": "fixed", "idle_s": 12, "ping_interval_s": 0},
    }
    settings[section][key] = value
    return settings


def shortened() -> Topology:
    """An edge for each remedy, and two browsers at each: 18 s of registration, 12 s of connection."""
    numbered = list(enumerate(REMEDIES.items(), start=1))
    browser = {"kind": "browser", "transport": "ws", "expires_s": 600, "refresh_share": 0.9}
    plain = {
        "edges": {f"edge{number}": edge(number, *remedy) for number, (_, remedy) in numbered},
        "nodes": {"FS1": {"host": "127.0.9.1", "interface": "inside", "model": {"force_expires_s": 18}}},
        "clients": {
            name: {
                **browser,
                "host": f"127.0.{number}.3",
                "edge": f"edge{number}",
                "users": f"{998 + 2 * number}-{999 + 2 * number}",
            }
            for number, (name, _) in numbered
        },
        "scenarios": {"morning": {"duration_s": 20}},
    }
    return parse(yaml.safe_dump(plain, sort_keys=False).encode())


def test_each_remedy_cures_the_failure_of_2021_on_real_sockets() -> None:
    outcome = rehearse_topology(shortened(), free_ports=True, drain_s=5)
    facts = gather(outcome.notes)
    figures = {
        name: reach_figures(
            [row for row in facts.registrations if row.agent.startswith(f"{name}/")], [], 0.0, outcome.duration_s
        )
        for name in REMEDIES
    }
    assert {name: each.agents for name, each in figures.items()} == dict.fromkeys(REMEDIES, 2)
    assert {name: each.log_outs for name, each in figures.items()} == {**dict.fromkeys(REMEDIES, 0), "none": 2}
    gone = [row for row in facts.registrations if row.state == "unreachable" and row.began_at_s < 20]
    assert all(12.0 < row.began_at_s < 14.5 for row in gone)
    assert {row.why for row in gone} == {"edge1: connection lost: idle for 12 s"}
    assert outcome.violations == []
