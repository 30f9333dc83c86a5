"""Many deadlines on a grid: never early by their own word, late by one step at most, and each looked at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.boundary import NEVER
from engine.timers import TimerQueue
from engine.wheel import GRID_S, Rider, Wheel


class Once(Rider):
    """Does its one thing at its deadline, which may be moved."""

    def __init__(self, due: float) -> None:
        super().__init__()
        self.due = due
        self.done_at: list[float] = []
        self.looks = 0

    def look(self, now: float) -> float:
        self.looks += 1
        if now < self.due:
            return self.due
        self.done_at.append(now)
        return NEVER


def run(timers: TimerQueue, until: float) -> None:
    while (deadline := timers.deadline()) <= until:
        timers.fire_due(deadline)


@given(st.lists(st.floats(min_value=0.0, max_value=200.0), min_size=1, max_size=30))
def test_each_is_done_once_and_at_most_one_step_late(dues: list[float]) -> None:
    timers = TimerQueue()
    wheel = Wheel(timers)
    riders = [Once(due) for due in dues]
    for rider in riders:
        wheel.look_by(rider, rider.due, 0.0)
    run(timers, 300.0)
    for rider in riders:
        (at,) = rider.done_at
        assert rider.due <= at <= rider.due + 2 * GRID_S
    assert timers.deadline() == NEVER
    assert len(wheel) == 0


@given(
    st.lists(
        st.tuples(st.floats(min_value=0.0, max_value=60.0), st.floats(min_value=0.0, max_value=60.0)), max_size=20
    )
)
def test_a_deadline_that_moves_ahead_is_met_too(moves: list[tuple[float, float]]) -> None:
    timers = TimerQueue()
    wheel = Wheel(timers)
    rider = Once(100.0)
    wheel.look_by(rider, rider.due, 0.0)
    now = 0.0
    for after, due_in in moves:
        run(timers, now + after)
        if rider.done_at:
            break
        now += after
        if now + due_in < rider.due:
            rider.due = now + due_in
            wheel.look_by(rider, rider.due, now)
    run(timers, 300.0)
    (at,) = rider.done_at
    assert rider.due <= at <= rider.due + 2 * GRID_S


def test_a_thousand_in_one_step_are_one_tick() -> None:
    timers = TimerQueue()
    wheel = Wheel(timers)
    for number in range(1000):
        rider = Once(10.0 + number * GRID_S / 1000)
        wheel.look_by(rider, rider.due, 0.0)
    assert len(timers) == 1


def test_moving_a_deadline_back_costs_nothing_but_a_look_every_half_minute() -> None:
    timers = TimerQueue()
    wheel = Wheel(timers)
    rider = Once(10.0)
    wheel.look_by(rider, rider.due, 0.0)
    rider.due = 3600.0
    run(timers, 4000.0)
    assert rider.done_at == [3600.0]
    assert rider.looks < 3600 / 30 + 4


def test_one_that_left_is_not_looked_at_and_may_come_back() -> None:
    timers = TimerQueue()
    wheel = Wheel(timers)
    rider = Once(10.0)
    wheel.look_by(rider, rider.due, 0.0)
    wheel.leave(rider)
    run(timers, 11.0)
    assert rider.looks == 0
    rider.due = 20.0
    wheel.look_by(rider, rider.due, 11.0)
    run(timers, 30.0)
    assert rider.done_at == [20.0]


def test_after_a_pause_the_overdue_are_looked_at_later_and_keep_their_distances() -> None:
    timers = TimerQueue()
    wheel = Wheel(timers)
    riders = [Once(due) for due in (10.0, 12.0, 14.0)]
    for rider in riders:
        wheel.look_by(rider, rider.due, 0.0)
    timers.fire_due(100.0)
    assert [rider.looks for rider in riders] == [0, 0, 0]
    run(timers, 200.0)
    assert [rider.done_at for rider in riders] == [[101.0], [103.0], [105.0]]
