"""Nodes that die, freeze, wake and return again and again, under calls of all kinds: nobody is left hanging."""

from __future__ import annotations

from random import Random

import pytest

import topologies
from engine.notes import CallMoved, CallNotRescued, CallRescued, RescuedCallEnded
from sim.run import Run, simulate
from tests.sim.deaths import written


def storm(seed: int) -> Run:
    """Thirty calls to agents and applications; each node in turn is killed or frozen, and comes back."""
    random = Random(f"storm {seed}")
    others, otherwise = random.choice(("end", "hold", "move", "move")), random.choice(("end", "hold"))
    text = written(
        phones="1000-1015",
        browsers="3000-3015",
        nodes=3,
        duration_s=70,
        rescue=f"others: {others}, otherwise: {otherwise}, move_within_s: 20",
        events=random.choice((True, True, False)),
        loss=random.choice((0.0, 0.02)),
    )
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
