"""A conversation whose two calls are at different edges: none has both halves, and nobody is left in silence."""

from __future__ import annotations

import pytest

import topologies
from engine.notes import CallMoving, CallNotRescued, CallRescued
from sim.agents.notes import CallEnded
from sim.run import simulate

DEPLOYMENT = """\
edges:
  edge1: &edge
    interfaces:
      phones: {host: 127.0.0.1}
      inside: {host: 127.0.0.2}
    relay: builtin
    peers: [edges]
    peer_interface: inside
    registrar: {secret: known to both of them}
    rescue: {others: OTHERS}
  edge2:
    <<: *edge
    interfaces:
      phones: {host: 127.0.0.3}
      inside: {host: 127.0.0.4}
nodes:
  FS1:
    host: 127.0.1.1
    interface: inside
    events: EVENTS
    resources: pstn=500
    model: {users: 1000-1003, trusts_edges: true}
clients:
  near: {kind: softphone, host: 127.0.2.1, users: 1000-1001, edge: edge1, interface: phones}
  far: {kind: softphone, host: 127.0.2.2, users: 1002-1003, edge: edge2, interface: phones}
scenarios:
  death:
    duration_s: 30
    media: streams
    faults:
      - {at_s: 3, kind: call, target: near/1000, to: 1002, hold_s: 20}
      - {at_s: 3, kind: call, target: far/1003, to: 1001, hold_s: 20}
      - {at_s: 10, kind: kill, target: FS1}
"""


@pytest.mark.parametrize("events", ["true", "false"])
@pytest.mark.parametrize("others", ["end", "move"])
def test_both_are_told_of_the_end_and_nobody_is_called_again(others: str, events: str) -> None:
    text = DEPLOYMENT.replace("EVENTS", events).replace("OTHERS", others)
    run = simulate(topologies.parse(text.encode()))
    assert run.violations == []
    assert run.drained
    told = [type(record.note) for record in run.notes]
    assert told.count(CallNotRescued) == 4
    assert told.count(CallRescued) == told.count(CallMoving) == 0
    ended = [record.note for record in run.notes if isinstance(record.note, CallEnded)]
    assert [note.why for note in ended] == ["far end hung up"] * 4
