"""The virtual host: time, kill, freeze, slowness."""

from __future__ import annotations

import pytest

from sim.faults import ProcessFault
from tests.sim.toys import Clock, Ear, Pair


def clocks(*due: float) -> Pair:
    return Pair(lambda: Clock(*due))


def test_a_machine_is_woken_at_each_deadline_once() -> None:
    pair = clocks(0.1, 0.2, 0.3, 7.0)
    pair.world.run(10.0)
    assert pair.right.woken == pytest.approx([0.1, 0.2, 0.3, 7.0])


def test_a_deadline_that_moves_forward_wakes_at_the_new_time_and_later_at_the_old_one() -> None:
    pair = clocks(5.0)
    for at in ("3.0", "2.0", "4.0"):
        pair.order("wake", at, at_s=1.0, place="right")
    pair.world.run(10.0)
    assert pair.right.woken == pytest.approx([2.0, 3.0, 4.0, 5.0])


def test_a_deadline_in_the_past_wakes_at_once() -> None:
    pair = clocks()
    pair.order("wake", "0.5", at_s=1.0, place="right")
    pair.order("wake", "0.4", at_s=1.0, place="right")
    pair.order("wake", "2.0", at_s=1.0, place="right")
    pair.world.run(3.0)
    assert pair.right.woken == pytest.approx([1.0, 2.0])


def test_a_killed_machine_wakes_no_more_and_its_successor_starts_afresh() -> None:
    pair = clocks(1.0, 3.0, 5.0)
    pair.world.schedule(
        [
            ProcessFault(at_s=2.0, kind="kill", targets=("right",)),
            ProcessFault(at_s=4.0, kind="start", targets=("right",)),
        ]
    )
    pair.world.run(10.0)
    first, second = pair.rights
    assert first.woken == [1.0]
    assert second.woken == pytest.approx([4.0, 5.0])


def test_a_frozen_machine_reads_and_ticks_when_it_thaws() -> None:
    pair = clocks(2.0)
    pair.world.schedule(
        [
            ProcessFault(at_s=1.0, kind="freeze", targets=("right",)),
            ProcessFault(at_s=5.0, kind="thaw", targets=("right",)),
        ]
    )
    pair.say("one", 1.5)
    pair.say("two", 3.0)
    pair.world.run(10.0)
    assert pair.right.arrivals == [(5.0, b"one"), (5.0, b"two")]
    assert pair.right.woken == [5.0]
    assert pair.left.troubles == []


def test_a_frozen_machines_socket_buffer_is_bounded() -> None:
    pair = Pair()
    pair.world.schedule([ProcessFault(at_s=0.0, kind="freeze", targets=("right",))])
    half = "x" * (2 * 1024 * 1024)
    for at_s in (0.1, 0.2, 0.3):
        pair.say(half, at_s)
    pair.world.run(1.0)
    assert pair.fates() == ["delivered", "delivered", "overflowed"]


def test_what_a_frozen_machine_had_not_read_dies_with_it() -> None:
    pair = Pair()
    pair.world.schedule(
        [
            ProcessFault(at_s=0.0, kind="freeze", targets=("right",)),
            ProcessFault(at_s=1.0, kind="kill", targets=("right",)),
            ProcessFault(at_s=2.0, kind="start", targets=("right",)),
        ]
    )
    pair.say("one", 0.5)
    pair.say("two", 2.5)
    pair.world.run(3.0)
    assert [ear.data for ear in pair.rights] == [[], [b"two"]]


def test_a_slow_machine_handles_everything_later_and_in_order() -> None:
    pair = Pair()
    pair.world.schedule(
        [
            ProcessFault(at_s=0.0, kind="slow", targets=("right",), delay_s=1.0),
            ProcessFault(at_s=0.5, kind="normal", targets=("right",)),
        ]
    )
    for at_s, text in ((0.1, "one"), (0.4, "two"), (0.6, "three"), (1.5, "four")):
        pair.say(text, at_s)
    pair.world.run(5.0)
    assert pair.right.arrivals == [
        (pytest.approx(1.110), b"one"),
        (pytest.approx(1.410), b"two"),
        (pytest.approx(1.410), b"three"),  # not before the one ahead of it
        (pytest.approx(1.510), b"four"),
    ]


def test_faults_that_do_not_apply_are_harmless() -> None:
    pair = Pair()
    kinds = ("thaw", "start", "kill", "kill", "freeze", "thaw", "slow", "normal", "start", "start")
    pair.world.schedule(
        ProcessFault(at_s=index / 10, kind=kind, targets=("right",)) for index, kind in enumerate(kinds)
    )
    pair.say("hello", 2.0)
    pair.world.run(3.0)
    assert len(pair.rights) == 2
    assert pair.right.data == [b"hello"]


def test_an_error_of_a_machine_says_where_and_when() -> None:
    class Faulty(Ear):
        def receive(self, event: object, now: float) -> tuple[()]:
            raise ZeroDivisionError

    pair = Pair(Faulty)
    pair.say("hello")
    with pytest.raises(ZeroDivisionError) as caught:
        pair.world.run(1.0)
    assert "0.01 s of virtual time, right handling Datagram" in caught.value.__notes__[0]
