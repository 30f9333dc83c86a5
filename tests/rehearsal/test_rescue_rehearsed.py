"""On real sockets: conversations whose node dies go on, as they do in simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

from engine.boundary import Note
from engine.notes import CallMoved, CallNotRescued, CallRescued, RescuedCallEnded
from lab.outcome import Outcome
from lab.rehearsal import rehearse_topology
from sim.agents.notes import CallEnded
from sim.media import Heard
from sim.run import simulate
from topologies import Topology, parse

DEPLOYMENT = """
edges:
  edge1:
    interfaces:
      phones: {host: 127.0.0.1}
      inside: {host: 127.0.0.2}
    relay: builtin
    rescue: {others: OTHERS}
nodes:
  FS1: &fs
    host: 127.0.1.1
    interface: inside
    resources: pstn=500
    events: true
    model: {users: USERS, trusts_edges: true}
  FS2: {<<: *fs, host: 127.0.1.2}
clients:
  phones: {kind: softphone, host: 127.0.2.1, users: USERS, interface: phones, register_spread_s: SPREAD}
scenarios:
  death:
    duration_s: LASTS
    media: streams
    faults:
      - {at_s: DIES, kind: kill, target: FS1}
"""
N = TypeVar("N", bound=Note)


def deployment(conversations: int, dies_s: float, lasts_s: float, others: str = "end") -> Topology:
    """Conversations over both nodes, and two calls to an echo; all hang up at the end."""
    users = range(1000, 1000 + 2 * conversations + 2)
    spread_s = len(users) / 50
    text = DEPLOYMENT.replace("USERS", f"{users[0]}-{users[-1]}").replace("SPREAD", f"{spread_s}")
    text = text.replace("LASTS", f"{lasts_s}").replace("DIES", f"{dies_s}").replace("OTHERS", others)
    pairs = [(users[2 * index], str(users[2 * index + 1])) for index in range(conversations)]
    for index, (caller, to) in enumerate([*pairs, (users[-2], "9196"), (users[-1], "9196")]):
        at_s = 2.0 + spread_s + index * 0.02
        call = f"kind: call, target: phones/{caller}, to: {to}, hold_s: {lasts_s - 3.0 - at_s:.2f}"
        text += f"      - {{at_s: {at_s:.2f}, {call}}}\n"
    return parse(text.encode())


def told(outcome: Outcome, kind: type[N]) -> list[N]:
    return [each.note for each in outcome.notes if isinstance(each.note, kind)]


def agents(heard: Sequence[Heard]) -> list[Heard]:
    """What phones heard of each other."""
    return [
        each
        for each in heard
        if each.speaker.isdigit() and not each.listener.startswith("FS") and each.speaker != each.listener
    ]


def test_the_same_conversations_go_on_in_both_worlds() -> None:
    topology = deployment(6, dies_s=6.0, lasts_s=16.0)
    real = rehearse_topology(topology, free_ports=True, drain_s=10)
    assert real.violations == []
    rescued = {note.call_id for note in told(real, CallRescued)}
    modelled = [each.note for each in simulate(topology).notes]
    assert len(rescued) == sum(isinstance(note, CallRescued) for note in modelled) > 0
    assert {note.call_id for note in told(real, RescuedCallEnded)} == rescued
    alone = {note.call_id for note in told(real, CallNotRescued)}
    assert {note.why for note in told(real, CallEnded) if note.call_id in alone} == {"far end hung up"}
    heard = agents(told(real, Heard))
    assert len(heard) == 12
    assert max(each.longest_gap_s for each in heard) <= 4.0  # a busy machine is slow; without rescue it has no end
    assert min(each.last_s or 0.0 for each in heard) > 12.0


def test_calls_to_an_application_are_moved_in_both_worlds() -> None:
    topology = deployment(2, dies_s=6.0, lasts_s=14.0, others="move")
    real = rehearse_topology(topology, free_ports=True, drain_s=10)
    assert real.violations == []
    moved = {note.call_id for note in told(real, CallMoved)}
    modelled = [each.note for each in simulate(topology).notes]
    assert len(moved) == sum(isinstance(note, CallMoved) for note in modelled) > 0
    assert not told(real, CallNotRescued)
    assert {note.why for note in told(real, CallEnded) if note.call_id in moved} == {"hung up"}
    echoes = [each for each in told(real, Heard) if each.call_id in moved and each.speaker == each.listener]
    assert max(each.last_s or 0.0 for each in echoes) > 10.0


@pytest.mark.slow
def test_two_hundred_conversations_go_on_with_a_gap_below_a_second() -> None:
    real = rehearse_topology(deployment(200, dies_s=25.0, lasts_s=45.0), free_ports=True, drain_s=20)
    assert real.violations == []
    rescued = told(real, CallRescued)
    assert len(rescued) == len(told(real, RescuedCallEnded)) > 80
    gaps = sorted(each.longest_gap_s for each in agents(told(real, Heard)))
    assert len(gaps) == 400
    assert gaps[int(len(gaps) * 0.99)] <= 1.0
