"""One scenario, two worlds, one story: what simulation tells of ten calls and a killed node, real sockets tell.

Compared per call: the messages that each place sent to each other one, in order; the Notes of the edge, in order;
and when they happened. Left out: what is random (tags, branches), addresses (the rehearsal moves them), and
repeated packets.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Sequence

import pytest

from engine.boundary import Note
from engine.notes import AttemptEnded, AttemptStarted, CallAdmitted, CallAnswered, CallFailed, DialogEnded
from lab.rehearsal.run import rehearse_topology
from sim.run import simulate
from sim.trace import MessageRecord, NoteRecord
from topologies import parse

TOLERANCE_S = 0.5  # a busy machine's scheduling; the story itself takes seconds

TOPOLOGY = b"""
description: Ten calls, a second apart by three, and FS1 is killed while they stand and come.
edges:
  edge1:
    interfaces: {agents: {host: 127.0.0.1}, inside: {host: 127.0.0.2}}
    policy: {use: round_robin, options: {timeout_s: 1.5}}
    probe: {mode: never}
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=100}
  FS2: {host: 127.0.1.2, interface: inside, resources: pstn=100}
clients:
  callers: {host: 127.0.2.1}
scenarios:
  kill:
    duration_s: 4
    traffic:
      - {from: callers, to: 9196, rate_per_s: 2.5, arrivals: fixed, hold_s: 1, calls: 10}
    faults:
      - {at_s: 2.1, kind: kill, target: FS1}
"""

TOLD = (CallAdmitted, AttemptStarted, AttemptEnded, CallAnswered, CallFailed, DialogEnded)
RANDOM = {"source", "uri", "caller", "callee", "setup_s", "elapsed_s", "duration_s"}
CALL_ID = re.compile(rb"\r\nCall-ID: ([^\r]+)\r\n")


class World:
    """What one run told: steps per call and way, notes per call, and the moment of each."""

    def __init__(self, messages: Sequence[MessageRecord], notes: Sequence[NoteRecord]) -> None:
        self.steps: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
        self.notes: dict[str, list[str]] = defaultdict(list)
        self.moments_s: dict[str, list[float]] = defaultdict(list)
        seen = set()
        for message in sorted(messages, key=lambda each: each.sent_s):
            found = CALL_ID.search(message.data)
            identity = (message.from_place, message.to_place, message.data)
            if found is None or identity in seen:
                continue
            seen.add(identity)
            call, words = found[1].decode(), message.data.split(b" ", 2)
            what = words[1] if words[0] == b"SIP/2.0" else words[0]
            step = what.decode() if message.fate == "delivered" else f"{what.decode()} in vain"
            self.steps[call][message.from_place, message.to_place].append(step)
        for record in notes:
            if isinstance(record.note, TOLD):
                self.notes[record.note.call_id].append(told(record.note))
                self.moments_s[record.note.call_id].append(record.time_s)


def told(note: Note) -> str:
    fields = {
        field.name: getattr(note, field.name)
        for field in dataclasses.fields(note)
        if field.name not in RANDOM and not (field.name == "why" and isinstance(note, AttemptEnded))
    }
    return f"{type(note).__name__} {fields}"


@pytest.fixture(scope="module")
def worlds() -> tuple[World, World]:
    topology = parse(TOPOLOGY, shown="parity")
    run = simulate(topology, seed=3, record="all")
    messages: list[MessageRecord] = []
    outcome = rehearse_topology(topology, seed=3, free_ports=True, on_message=messages.append)
    assert not run.violations
    assert not outcome.violations
    return World(run.messages, run.notes), World(messages, outcome.notes)


def test_both_worlds_had_the_same_ten_calls(worlds: tuple[World, World]) -> None:
    simulated, rehearsed = worlds
    assert len(simulated.notes) == 10
    assert simulated.notes.keys() == rehearsed.notes.keys()


def test_some_call_failed_over(worlds: tuple[World, World]) -> None:
    """Else the comparison would say nothing about failover."""
    assert any("AttemptEnded" in note for notes in worlds[0].notes.values() for note in notes)


def test_each_place_sent_the_same_messages_in_the_same_order(worlds: tuple[World, World]) -> None:
    simulated, rehearsed = worlds
    for call in simulated.notes:
        assert rehearsed.steps[call] == simulated.steps[call], call


def test_the_edge_told_the_same_notes_in_the_same_order(worlds: tuple[World, World]) -> None:
    simulated, rehearsed = worlds
    assert rehearsed.notes == simulated.notes


def test_at_the_same_moments(worlds: tuple[World, World]) -> None:
    simulated, rehearsed = worlds
    for call, moments_s in simulated.moments_s.items():
        assert rehearsed.moments_s[call] == pytest.approx(moments_s, abs=TOLERANCE_S), call
