"""What strangers can cause at any rate is counted and told once a second."""

from __future__ import annotations

from engine.boundary import NEVER, Effect
from engine.notes import ConnectionsRefused
from engine.tally import Tally
from engine.timers import TimerQueue


def test_each_reason_is_told_once_a_second_with_its_number() -> None:
    timers, out = TimerQueue(), list[Effect]()
    tally = Tally(timers, out)
    for number in range(10):
        tally.add(ConnectionsRefused, "ws", "too many", number / 10)
    tally.add(ConnectionsRefused, "tcp", "too many", 0.95)
    assert out == []
    assert timers.deadline() == 1.0
    timers.fire_due(1.0)
    assert out == [ConnectionsRefused("ws", "too many", 10), ConnectionsRefused("tcp", "too many", 1)]
    assert timers.deadline() == NEVER


def test_the_next_second_counts_anew() -> None:
    timers, out = TimerQueue(), list[Effect]()
    tally = Tally(timers, out)
    for second in (0.0, 5.0):
        tally.add(ConnectionsRefused, "ws", "too many", second)
        timers.fire_due(second + 1.0)
    assert out == [ConnectionsRefused("ws", "too many", 1)] * 2
