"""The queue before a database: the newest word about each key, in time, whatever ails the database."""

from __future__ import annotations

import pytest

from engine.boundary import NEVER, Commit, Committed, DialogRecord, Drop, NodeRecord, Note, Save
from engine.config import StoreConfig
from engine.notes import RecordsDropped, StoreBack, StoreLost
from engine.records.queue import WriteQueue

CONFIG = StoreConfig(database="main", delay_s=0.2, answer_wait_s=0.5, retry_max_s=2.0)


def dialog(number: int) -> DialogRecord:
    return DialogRecord("edge1", b"call%d" % number, b"tag", "FS1", "pstn", 1.0)


def node(state: str) -> NodeRecord:
    return NodeRecord("edge1", "FS1", state)


def queue(**settings: int) -> WriteQueue:
    return WriteQueue(StoreConfig(database="main", delay_s=0.2, answer_wait_s=0.5, retry_max_s=2.0, **settings))


def out(waiting: WriteQueue) -> list[Committed | Note]:
    told, waiting.out = waiting.out, []
    return told


def test_records_that_may_be_lost_are_gathered_for_a_while() -> None:
    waiting = queue()
    waiting.put(Save(dialog(1), True), 10.0)
    waiting.put(Save(dialog(2), True), 10.1)
    assert waiting.deadline() == 10.2
    assert not waiting.take(10.1)
    assert waiting.take(10.2).saves == [dialog(1), dialog(2)]
    waiting.done(10.21)
    assert waiting.deadline() == NEVER
    assert len(waiting) == 0


def test_records_that_may_not_be_lost_are_written_at_once() -> None:
    waiting = queue()
    waiting.put(Save(node("draining")), 10.0)
    assert waiting.deadline() == 10.0


def test_only_the_newest_word_about_a_key_is_written() -> None:
    waiting = queue()
    waiting.put(Save(node("down")), 10.0)
    waiting.put(Save(node("draining")), 10.0)
    assert waiting.take(10.0).saves == [node("draining")]
    waiting.put(Drop(node("").at), 10.1)
    waiting.done(10.2)
    batch = waiting.take(10.2)
    assert (batch.saves, batch.drops) == ([], [node("").at])


def test_a_call_that_was_short_is_never_written() -> None:
    waiting = queue()
    waiting.put(Save(dialog(1), True), 10.0)
    waiting.put(Drop(dialog(1).at), 10.1)
    assert len(waiting) == 0
    assert not waiting.take(20.0)


def test_what_may_be_in_the_store_is_dropped_there() -> None:
    waiting = queue()
    waiting.put(Save(dialog(1), True), 10.0)
    waiting.take(10.2)
    waiting.failed("connection reset", 10.3)  # after the commit, perhaps
    waiting.put(Drop(dialog(1).at), 10.4)
    assert waiting.take(NEVER).drops == [dialog(1).at]


def test_a_commit_hurries_and_is_answered_when_all_before_it_is_written() -> None:
    waiting = queue()
    waiting.put(Save(dialog(1), True), 10.0)
    waiting.put(Commit(7), 10.0)
    assert waiting.deadline() == 10.0
    assert waiting.take(10.0)
    waiting.put(Save(dialog(2), True), 10.01)
    waiting.put(Commit(8), 10.01)
    waiting.done(10.02)
    assert out(waiting) == [Committed(7)]
    assert waiting.take(10.02).saves == [dialog(2)]
    waiting.put(Commit(9), 10.03)  # about what is under way
    waiting.done(10.04)
    assert out(waiting) == [Committed(8), Committed(9)]
    waiting.put(Commit(10), 10.05)
    assert out(waiting) == [Committed(10)]


@pytest.mark.parametrize("then", ["fails", "comes late"])
def test_nobody_waits_for_a_store_that_does_not_answer(then: str) -> None:
    waiting = queue()
    waiting.put(Save(dialog(1), True), 10.0)
    waiting.put(Commit(1), 10.0)
    waiting.take(10.0)
    assert waiting.deadline() == 10.5
    waiting.tick(10.5)
    assert out(waiting) == [Committed(1), StoreLost("main", "no answer for 0.5 s", 1)]
    waiting.put(Save(dialog(2), True), 10.6)
    waiting.put(Commit(2), 10.6)
    assert out(waiting) == [Committed(2)]
    if then == "fails":
        waiting.failed("timed out", 15.0)
        assert out(waiting) == []  # told before
        assert waiting.deadline() == 15.5
        assert waiting.take(15.5).saves == [dialog(2), dialog(1)]
        waiting.done(15.6)
        assert out(waiting) == [StoreBack("main", 15.6 - 10.5)]
    else:
        waiting.done(11.0)
        assert out(waiting) == [StoreBack("main", 0.5)]
        assert waiting.deadline() == 11.0


def test_a_store_that_is_away_is_tried_less_and_less_often_and_gets_everything_at_last() -> None:
    waiting = queue()
    now, pauses = 10.0, []
    waiting.put(Save(dialog(0), True), now)
    waiting.take(now + 1.0)
    for number in range(1, 6):
        waiting.failed("connection refused", now)
        waiting.put(Save(dialog(number), True), now)
        pauses.append(waiting.deadline() - now)
        now = waiting.deadline()
        assert waiting.take(now)
    assert pauses == [0.5, 1.0, 2.0, 2.0, 2.0]
    waiting.done(now)
    assert [type(each) for each in out(waiting)] == [StoreLost, StoreBack]
    assert len(waiting) == 0


def test_it_is_bounded_and_says_what_it_gave_up() -> None:
    waiting = queue(queue_records=2)
    for number in range(4):
        waiting.put(Save(dialog(number), True), 10.0)
    waiting.put(Drop(dialog(9).at), 10.0)
    waiting.put(Save(dialog(1)), 10.0)  # a newer word takes no more room
    assert waiting.take(10.2).saves == [dialog(0), dialog(1)]
    waiting.done(10.3)
    assert out(waiting) == [RecordsDropped("main", 3)]
