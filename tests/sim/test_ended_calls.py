"""An operator ends all calls of a simulated edge: agents and nodes notice nothing but a far end that hangs up."""

from __future__ import annotations

import pytest

from engine.boundary import CallOrder
from engine.edge import Edge
from engine.notes import DialogEnded, MediaEnded
from sim.agents.notes import CallEnded
from sim.build import parts
from sim.run import world_of
from topologies import parse

TOPOLOGY = """
edges:
  edge1:
    interfaces: {both: {host: 127.0.0.1}, web: {transport: wss, host: 127.0.0.1, port: 7443}}
    relay: builtin
nodes:
  FS1: {host: 127.0.1.1, resources: pstn=100EVENTS}
clients:
  phones: {host: 127.0.2.1, users: 1000-1009}
  web: {kind: browser, host: 127.0.2.2, transport: wss, users: 1010-1013}
scenarios:
  calls:
    duration_s: 10
    traffic: [{from: phones, to: 9196, rate_per_s: 2, hold_s: 500}]
    faults:
      - {at_s: 5, kind: call, target: web/1010, to: 9196, hold_s: 500}
      - {at_s: 5, kind: call, target: web/1011, to: "1012", hold_s: 500}
"""


@pytest.mark.parametrize("events", ["", ", events: {password: ClueCon}"], ids=["by the edge", "by the node"])
def test_all_calls_end_on_both_sides_and_nothing_is_left(events: str) -> None:
    topology = parse(TOPOLOGY.replace("EVENTS", events).encode())
    scenario = topology.scenario("calls")
    cast = parts(topology, scenario, None, duration_s=10.0)
    world = world_of(topology, cast, scenario, None, 1, "all")
    ended: list[str] = []

    def end_all() -> None:
        edge = world.hosts["edge1"].machine
        assert isinstance(edge, Edge)
        ended.extend(call.call_id for call in edge.calls(world.now))
        for call_id in ended:
            world.deliver("edge1", CallOrder(call_id, "end"))

    world.later(12.0, end_all)
    world.run(60.0)
    edge = world.hosts["edge1"].machine
    assert isinstance(edge, Edge)
    notes = [each.note for each in world.trace.notes]
    assert len(ended) > 10
    assert edge.open_dialogs() == edge.relayed_calls() == edge.rescued_dialogs() == 0
    by_order = [note.call_id for note in notes if isinstance(note, DialogEnded) and note.why == "by order"]
    assert sorted(by_order) == ([] if events else sorted(ended))
    assert {note.call_id for note in notes if isinstance(note, MediaEnded)} >= set(ended)
    assert len([note for note in notes if isinstance(note, CallEnded)]) >= len(ended)
    assert world.finish({"edge1": edge}) == []
