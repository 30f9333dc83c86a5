"""A rehearsed edge is killed and started again; a file of the rehearsal keeps its records."""

from __future__ import annotations

from engine.notes import RecordsRestored
from lab.rehearsal.run import rehearse_topology
from sim.agents.notes import CallEnded
from sim.run import simulate
from sim.trace import NoteRecord
from topologies import parse

SITE = b"""
edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}, store: main, probe: {mode: never}}}
databases: {main: {url: "mysql://nobody@nowhere/production"}}
nodes: {FS1: {host: 127.0.1.1, resources: pstn=500}}
clients: {callers: {host: 127.0.2.1}}
scenarios:
  default:
    duration_s: 4
    traffic: [{from: callers, to: "9196", rate_per_s: 5, hold_s: 2, calls: 5, arrivals: fixed}]
    faults: [{at_s: 1.5, kind: kill, target: edge1}, {at_s: 1.7, kind: start, target: edge1}]
"""


def test_calls_outlive_their_edge_in_both_worlds() -> None:
    rehearsed: list[NoteRecord] = []
    rehearse_topology(parse(SITE), drain_s=20, free_ports=True, on_note=rehearsed.append)
    for notes in (simulate(parse(SITE)).notes, rehearsed):
        restored = [record.note for record in notes if isinstance(record.note, RecordsRestored)]
        assert [note.dialogs for note in restored] == [0, 5]
        assert [record.note.why for record in notes if isinstance(record.note, CallEnded)] == ["hung up"] * 5
