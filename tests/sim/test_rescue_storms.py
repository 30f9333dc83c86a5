"""Nodes that die, freeze, wake and return again and again, under calls of all kinds: nobody is left hanging."""

from __future__ import annotations

from random import Random

import pytest

import topologies
from engine.notes import CallMoved, CallNotRescued, CallRescued, RescuedCallEnded
from sim.run import Run, simulate

DEPLOYMENT = """\
edges:
  edge1:
    interfaces:
      web: {transport: wss, host: 127.0.0.1, port: 7443}
      phones: {host: 127.0.0.1}
      inside: {host: 127.0.0.2}
    relay: builtin
    rescue: {others: OTHERS, otherwise: OTHERWISE, move_within_s: 20}
nodes:
  FS1: &fs
    host: 127.0.1.1
    interface: inside
    events: EVENTS
    resources: pstn=500
    model: {users: 1000-4999, trusts_edges: true}
  FS2: {<<: *fs, host: 127.0.1.2}
  FS3: {<<: *fs, host: 127.0.1.3}
clients:
  phones: {kind: softphone, host: 127.0.2.1, users: 1000-1015, interface: phones, network: wan}
  browsers: {kind: browser, host: 127.0.2.2, users: 3000-3015, network: wan}
networks:
  wan: {latency_ms: 30, jitter_ms: 5, loss: LOSS}
scenarios:
  storm:
    duration_s: 70
    media: streams
    faults:
"""


def storm(seed: int) -> Run:
    """Thirty calls to agents and applications; each node in turn is killed or frozen, and comes back."""
    random = Random(f"storm {seed}")
    said = {
        "OTHERS": random.choice(("end", "hold", "move", "move")),
        "OTHERWISE": random.choice(("end", "hold")),
        "EVENTS": random.choice(("true", "true", "false")),
        "LOSS": random.choice(("0", "0.02")),
    }
    text = DEPLOYMENT
    for word in sorted(said, key=len, reverse=True):
        text = text.replace(word, said[word])
    agents = [f"phones/{1000 + n}" for n in range(16)] + [f"browsers/{3000 + n}" for n in range(16)]
    random.shuffle(agents)
    for index in range(16):
        caller, callee = agents[2 * index], agents[2 * index + 1].partition("/")[2]
        to = random.choice((callee, callee, "9664", "9196", "9198", "9100"))
        for began_s in (random.uniform(3.0, 20.0), random.uniform(40.0, 55.0)):
            hold_s = random.uniform(5.0, 30.0)
            call = f"kind: call, target: {caller}, to: {to}, hold_s: {hold_s:.2f}"
            text += f"      - {{at_s: {began_s:.2f}, {call}}}\n"
    at_s = random.uniform(5.0, 12.0)
    for node in random.sample(("FS1", "FS2", "FS3"), 3):
        ill, well = random.choice((("kill", "start"), ("freeze", "thaw")))
        text += f"      - {{at_s: {at_s:.2f}, kind: {ill}, target: {node}}}\n"
        text += f"      - {{at_s: {at_s + random.uniform(1.0, 20.0):.2f}, kind: {well}, target: {node}}}\n"
        at_s += random.uniform(0.5, 15.0)
    return simulate(topologies.parse(text.encode()), seed=seed)


SEEDS, CHUNK = range(40), 10


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_every_call_ends_and_nothing_is_left(first: int) -> None:
    found: dict[int, object] = {}
    for seed in range(first, first + CHUNK):
        run = storm(seed)
        if run.violations or not run.drained:
            found[seed] = run.violations[:3] or "not drained"
    assert not found


def test_the_storms_are_worth_their_name() -> None:
    told = {type(record.note) for seed in range(4) for record in storm(seed).notes}
    assert {CallRescued, CallMoved, CallNotRescued, RescuedCallEnded} <= told
