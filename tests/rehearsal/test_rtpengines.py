"""Modelled rtpengines on real sockets: the same is heard as in virtual time, over UDP, TCP and WebSockets."""

from __future__ import annotations

import pytest

from lab.rehearsal import rehearse_topology
from sim.run import simulate
from tests.rehearsal.test_media import heard
from topologies import parse

TOPOLOGY = b"""
edges:
  edge1:
    interfaces: {agents: {host: 127.0.0.1}, inside: {host: 127.0.0.2}}
    relay:
      rtpengine:
        - {name: RTP1, host: 127.0.4.1, transport: TRANSPORT, media: {inside: 127.0.5.1}}
        - {name: RTP2, host: 127.0.4.2, transport: TRANSPORT, media: {inside: 127.0.5.2}}
      rtpengine_timers: {timeout_s: 5, ping_timeout_s: 5}
      interfaces: {outside: {serves: [agents]}, inside: {serves: [inside]}}
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=100, model: {trusts_edges: true, auth: false}}
clients:
  callers: {host: 127.0.2.1, users: 1010-1019}
scenarios:
  talk:
    duration_s: 2
    traffic:
      - {from: callers, to: 9196, rate_per_s: 2, arrivals: fixed, hold_s: {distribution: fixed, mean: 2}, calls: 4}
"""


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
def test_both_worlds_hear_the_same(transport: str) -> None:
    topology = parse(TOPOLOGY.replace(b"TRANSPORT", transport.encode()), shown="talk")
    run = simulate(topology, seed=3)
    outcome = rehearse_topology(topology, seed=3, free_ports=True)
    assert not run.violations
    assert not outcome.violations
    simulated, rehearsed = heard(run.notes), heard(list(outcome.notes))
    assert len(simulated) == 8
    assert sorted(rehearsed) == sorted(simulated)
    assert all(row.packets > 20 for row in (*simulated.values(), *rehearsed.values()))
