"""The trace: one hash for one run, on any machine and hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from engine.boundary import Note
from sim.links import Link
from sim.trace import MessageRecord, NoteRecord, Trace, Wire
from tests.sim.toys import LEFT, RIGHT, Echo, Heard, Pair

BAD = Link(latency_ms=3, jitter_ms=2, loss=0.1, reorder=0.1, duplicate=0.1)


def run_hash(seed: int = 1) -> str:
    pair = Pair(Echo, link=BAD, seed=seed)
    for index in range(200):
        pair.say(str(index), index * 0.003)
    pair.world.run(5.0)
    return pair.world.trace.hash


def test_two_runs_of_one_seed_have_one_hash() -> None:
    assert run_hash() == run_hash()


def test_another_seed_has_another_hash() -> None:
    assert run_hash(1) != run_hash(2)


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_hash_seed_of_python_does_not_matter(hash_seed: str) -> None:
    code = "from tests.sim.test_trace import run_hash; print(run_hash())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == run_hash()


def test_progress_in_steps_changes_nothing() -> None:
    whole, stepped = Pair(Echo, link=BAD), Pair(Echo, link=BAD)
    seconds: list[float] = []
    for pair, progress in ((whole, None), (stepped, seconds.append)):
        for index in range(100):
            pair.say(str(index), index * 0.025)
        pair.world.run(3.0, progress)
    assert whole.world.trace.hash == stepped.world.trace.hash
    assert seconds == [1.0, 2.0, 3.0]


def test_records_tell_the_way_and_the_fate() -> None:
    pair = Pair()
    pair.say("hello")
    pair.world.run(1.0)
    [record] = pair.world.trace.messages
    assert record == MessageRecord(
        pytest.approx(0.010), 0.0, 1, "left", "right", LEFT, RIGHT, "udp", b"hello", "delivered"
    )
    assert pair.world.trace.notes == [NoteRecord(record.time_s, "right", Heard("Datagram"))]


def test_messages_sent_at_one_instant_keep_the_order_of_sending() -> None:
    pair = Pair(link=Link(latency_ms=10.0, jitter_ms=5.0, reorder=0.5))
    said = [f"{number}" for number in range(20)]
    for word in said:
        pair.say(word)
    pair.world.run(1.0)
    arrived = pair.world.trace.messages
    assert {record.sent_s for record in arrived} == {0.0}
    assert [record.data.decode() for record in arrived] != said
    assert [record.data.decode() for record in sorted(arrived, key=lambda record: record.order)] == said


def test_only_what_is_asked_for_is_kept() -> None:
    wire = Wire("left", "right", LEFT, RIGHT, "udp")
    kept = {}
    for record in ("none", "notes", "all"):
        trace = Trace(record)
        trace.message(1.0, (0.5, 1), wire, b"hello", "delivered")
        trace.note(1.0, "left", Heard("x"))
        kept[record] = (len(trace.messages), len(trace.notes), trace.hash)
    assert {record: counts[:2] for record, counts in kept.items()} == {
        "none": (0, 0),
        "notes": (0, 1),
        "all": (1, 1),
    }
    assert len({counts[2] for counts in kept.values()}) == 1


def test_a_field_that_differs_between_machines_stays_out_of_the_hash() -> None:
    @dataclass(frozen=True, slots=True)
    class Failed(Note):
        error: str
        traceback: str = field(repr=False)

    def hash_of(traceback: str) -> str:
        trace = Trace()
        trace.note(1.0, "edge", Failed("ValueError", traceback))
        return trace.hash

    assert hash_of("File /here") == hash_of("File /there")
