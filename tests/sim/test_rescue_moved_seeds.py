"""Calls to applications are made anew to another node when theirs dies: over many seeds, and in a storm."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

import topologies
from engine.notes import CallMoved, CallMoving, CallNotRescued, RescuedCallEnded
from sim.agents.notes import CallEnded
from sim.run import simulate
from tests.sim.deaths import RTPENGINES, Story, written


@cache
def story(
    seed: int,
    calls: int = 8,
    rescue: str = "",
    hold_s: float = 45.0,
    second: bool = True,
    relay: str = "builtin",
) -> Story:
    """Phones and browsers call a tone and an echo; each node has some of them. FS1 dies, and FS2 fourteen seconds
    after, if the seed says so."""
    random = Random(seed)
    died_s = round(random.uniform(6.0, 16.0), 3)
    text = written(
        phones=f"1000-{999 + max(calls, 2)}",
        browsers="3000-3003",
        nodes=3,
        duration_s=60,
        relay=relay,
        rescue=f"others: move, {rescue}" if rescue else "others: move",
        pstn=2000,
    )
    callers = [f"phones/{1000 + index}" for index in range(calls)]
    if calls == 8:
        callers[::2] = [f"browsers/{3000 + index}" for index in range(4)]
    for index, caller in enumerate(callers):
        to = ("9664", "9196")[index // 2 % 2]
        call = f"kind: call, target: {caller}, to: {to}, hold_s: {hold_s}"
        text += f"      - {{at_s: {3 + index * 0.02:.2f}, {call}}}\n"
    text += f"      - {{at_s: {died_s}, kind: {random.choice(('kill', 'freeze'))}, target: FS1}}\n"
    if second and random.random() < 0.5:
        text += f"      - {{at_s: {died_s + 14.0}, kind: kill, target: FS2}}\n"
    return Story(simulate(topologies.parse(text.encode()), seed=seed), died_s)


def goes_on(told: Story) -> None:
    assert told.run.violations == []
    assert told.run.drained
    assert told.told(CallNotRescued) == []
    moved = {note.call_id for note in told.told(CallMoved)}
    assert moved
    assert {note.call_id for note in told.told(RescuedCallEnded)} == moved
    assert {note.why for note in told.told(RescuedCallEnded)} == {"bye"}
    heard = [each for each in told.agents() if each.call_id in moved]
    last_s = {call_id: max(each.last_s or 0.0 for each in heard if each.call_id == call_id) for call_id in moved}
    assert min(last_s.values()) > told.died_s + 25.0
    ends = [note for note in told.told(CallEnded) if note.call_id in moved]
    assert {note.why for note in ends} == {"hung up"}


SEEDS, CHUNK = range(60), 10


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_the_agents_hear_an_application_again(first: int) -> None:
    for seed in range(first, first + CHUNK):
        goes_on(story(seed))


def test_they_do_so_where_rtpengines_relay() -> None:
    for seed in range(6):
        goes_on(story(seed, relay=RTPENGINES))


def test_a_storm_is_spread_over_time() -> None:
    told = story(3, calls=300, rescue="moves_per_s: 10", second=False)
    goes_on(told)
    began = [time_s for time_s, _ in told.at(CallMoving)]
    for start_s in began:
        assert sum(start_s <= time_s < start_s + 0.999 for time_s in began) <= 10


def test_who_waits_too_long_is_told_of_the_end() -> None:
    told = story(3, calls=300, rescue="moves_per_s: 10, move_within_s: 2", second=False)
    assert told.run.violations == []
    assert told.run.drained
    left = {note.call_id for note in told.told(CallNotRescued)}
    assert left
    assert told.told(CallMoved)
    assert {note.why for note in told.told(CallEnded) if note.call_id in left} == {"far end hung up"}
