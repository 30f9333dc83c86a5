"""A rehearsal has no NATs and no balancers, and says so."""

from __future__ import annotations

from lab.rehearsal import rehearse_topology
from topologies import parse

TOPOLOGY = """\
edges:
  edge1: {interfaces: {agents: {host: 198.51.100.1}, inside: {host: 10.1.0.1}}}
nodes:
  FS1: {host: 10.1.1.1, interface: inside}
clients:
  home: {host: 192.168.1.2, behind: homes, balancer: slb}
nats:
  homes: {host: 203.0.113.1}
balancers:
  slb: {host: 203.0.113.200, listeners: {sip: {}}}
scenarios:
  calls:
    duration_s: 1
    traffic: [{from: home, to: 9196, rate_per_s: 5, hold_s: 0.2}]
    faults:
      - {at_s: 0.5, kind: reboot, target: homes}
      - {at_s: 0.6, kind: cut, between: [home, edge1], silent: true}
"""


def test_calls_go_to_the_edge_itself_and_the_omission_is_told() -> None:
    warned: list[str] = []
    outcome = rehearse_topology(parse(TOPOLOGY.encode()), free_ports=True, warn=warned.append)
    assert outcome.violations == []
    assert any(type(note.note).__name__ == "CallAnswered" for note in outcome.notes)
    assert [text.partition(": ")[2] for text in warned] == [
        "NAT homes, balancer slb; clients talk to the edges themselves",
        "reboot homes at 0.5 s",
        "cut home ↔ edge1 silently at 0.6 s",
    ]
