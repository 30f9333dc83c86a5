"""Modelled rtpengines on real sockets: the same is heard as in virtual time, over UDP and TCP."""

from __future__ import annotations

import pytest

from lab.rehearsal import rehearse_topology
from sim.run import simulate
from tests.rehearsal.test_media import TOPOLOGY, heard
from topologies import parse

RELAY = b"""relay:
      rtpengine:
        - {name: RTP1, host: 127.0.4.1, transport: TRANSPORT, media: {inside: 127.0.5.1}}
        - {name: RTP2, host: 127.0.4.2, transport: TRANSPORT, media: {inside: 127.0.5.2}}
      rtpengine_timers: {timeout_s: 5, ping_timeout_s: 5}
      interfaces: {outside: {serves: [agents]}, inside: {serves: [inside]}}
"""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_both_worlds_hear_the_same(transport: str) -> None:
    text = TOPOLOGY.replace(b"relay: builtin\n", RELAY.replace(b"TRANSPORT", transport.encode()))
    topology = parse(text, shown="talk")
    run = simulate(topology, seed=3)
    outcome = rehearse_topology(topology, seed=3, free_ports=True)
    assert not run.violations
    assert not outcome.violations
    simulated, rehearsed = heard(run.notes), heard(list(outcome.notes))
    assert sorted(rehearsed) == sorted(simulated)
    for key, row in simulated.items():
        assert rehearsed[key].packets == pytest.approx(row.packets, rel=0.2), key
        assert row.packets > 50
