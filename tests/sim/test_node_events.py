"""Event sockets between the edge and modelled FreeSWITCH nodes, in virtual time."""

from __future__ import annotations

from typing import TypeVar

import pytest

from engine.boundary import Note
from engine.notes import AttemptStarted, CallAnswered, EventsConnected, EventsLost, NodePaused, NodeStateChanged
from sim.run import Run, simulate
from topologies import Topology, TopologyError, parse

WITH_EVENTS = b"""
edges:
  edge1:
    interfaces:
      agents: {host: 127.0.0.1, port: 5060}
      inside: {host: 127.0.0.2, port: 5060}
nodes:
  FS1: &fs {host: 127.0.1.1, interface: inside, resources: pstn=fs, events: true, model: {max_sessions: 40}}
  FS2: {<<: *fs, host: 127.0.1.2}
clients:
  callers: {host: 127.0.2.1, users: 1000-1009}
  phones: {kind: softphone, host: 127.0.2.2, users: 1010-1019}
scenarios:
  plain: &plain
    duration_s: 30
    traffic:
      - {from: callers, to: "9196", rate_per_s: 4, hold_s: 4}
      - {from: callers, to: "1012", rate_per_s: 0.5, hold_s: 2}
  death: {<<: *plain, faults: [{at_s: 10, kind: kill, target: FS1}, {at_s: 15, kind: start, target: FS1}]}
  pause: {<<: *plain, faults: [{at_s: 10, kind: pause, target: FS1}, {at_s: 20, kind: unpause, target: FS1}]}
"""

N = TypeVar("N", bound=Note)


@pytest.fixture(scope="module")
def topology() -> Topology:
    return parse(WITH_EVENTS)


def told(run: Run, kind: type[N]) -> list[tuple[float, N]]:
    return [(record.time_s, record.note) for record in run.notes if isinstance(record.note, kind)]


def test_each_node_tells_its_load_and_no_checker_complains(topology: Topology) -> None:
    run = simulate(topology, scenario="plain")
    assert {note.node for _, note in told(run, EventsConnected)} == {"FS1", "FS2"}
    assert told(run, EventsLost) == []
    assert run.violations == []
    assert len(told(run, CallAnswered)) > 120


def test_a_killed_node_is_suspect_within_milliseconds_and_watched_again_after_its_return(
    topology: Topology,
) -> None:
    run = simulate(topology, scenario="death")
    changes = [(time, note.after) for time, note in told(run, NodeStateChanged) if note.node == "FS1"]
    suspected, how = changes[0]
    assert how in ("suspect", "down")
    assert 10 <= suspected < 10.01
    late = [time for time, note in told(run, AttemptStarted) if note.node == "FS1" and suspected < time < 15]
    assert late == []
    assert [time for time, note in told(run, EventsConnected) if note.node == "FS1" and time > 15]
    assert run.violations == []


def test_a_paused_node_gets_no_calls_within_a_poll(topology: Topology) -> None:
    run = simulate(topology, scenario="pause")
    (paused, _), (resumed, _) = told(run, NodePaused)
    assert 10 <= paused <= 11.5
    assert 20 <= resumed <= 21.5
    attempts = [time for time, note in told(run, AttemptStarted) if note.node == "FS1"]
    assert [time for time in attempts if paused < time < 20] == []
    assert [time for time in attempts if time > resumed]


def test_a_full_node_gets_no_more_calls_than_it_says(topology: Topology) -> None:
    """40 sessions on each of two nodes, and more calls than that."""
    crowded = parse(WITH_EVENTS.replace(b"rate_per_s: 4, hold_s: 4", b"rate_per_s: 10, hold_s: 20"))
    run = simulate(crowded, scenario="plain")
    nodes = [note.node for _, note in told(run, AttemptStarted)]
    refused = [
        record for record in run.notes if "503" in repr(record.note) and "AttemptEnded" in repr(record.note)
    ]
    assert len(nodes) > 80
    assert len(refused) <= 2  # where the last free session is taken while the node's word is on its way


def test_fs_for_a_number_asks_for_an_event_socket() -> None:
    with pytest.raises(TopologyError, match="pstn=fs asks the node, which has no event socket"):
        parse(WITH_EVENTS.replace(b"events: true, ", b""))


def test_two_nodes_cannot_share_an_event_socket() -> None:
    with pytest.raises(TopologyError, match=r"tcp 127\.0\.1\.1:8021 already belongs to FS1's event socket"):
        parse(WITH_EVENTS.replace(b"{<<: *fs, host: 127.0.1.2}", b"{<<: *fs, port: 5080}"))
