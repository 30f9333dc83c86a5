"""One heap for the timers of a machine: exact, cheap to re-arm, and nothing is kept that will not fire."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from engine.boundary import NEVER
from engine.timers import GRAIN_S, Timed, TimerQueue


class Thing(Timed):
    def __init__(self, name: str, fired: list[tuple[str, float]]) -> None:
        super().__init__()
        self.name = name
        self.fired = fired

    def fire(self, now: float) -> None:
        self.fired.append((self.name, now))


def run(queue: TimerQueue, until: float) -> None:
    while queue.deadline() <= until:
        queue.fire_due(queue.deadline())


def test_in_the_order_of_the_deadlines_then_of_arming() -> None:
    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    for name, due in (("c", 2.0), ("a", 1.0), ("b", 1.0)):
        queue.arm(Thing(name, fired), due)
    run(queue, 10)
    assert fired == [("a", 1.0), ("b", 1.0), ("c", 2.0)]
    assert queue.deadline() == NEVER


def test_later_earlier_and_never() -> None:
    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    later, earlier, never = (Thing(name, fired) for name in ("later", "earlier", "never"))
    for thing in (later, earlier, never):
        queue.arm(thing, 5.0)
    queue.arm(later, 7.0)
    queue.arm(earlier, 3.0)
    queue.arm(never, NEVER)
    run(queue, 100)
    assert fired == [("earlier", 3.0), ("later", 7.0)]


def test_a_far_deadline_is_met_exactly() -> None:
    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    thing = Thing("far", fired)
    queue.arm(thing, 1.0)
    queue.arm(thing, 43_200.25)
    run(queue, 100_000)
    assert fired == [("far", 43_200.25)]


def test_a_thing_may_arm_itself_again_as_it_fires() -> None:
    class Again(Thing):
        def fire(self, now: float) -> None:
            super().fire(now)
            if len(self.fired) < 3:
                queue.arm(self, now + 1)

    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    queue.arm(Again("x", fired), 1.0)
    queue.fire_due(10.0)
    assert [now for _, now in fired] == [10.0]  # each time counts from now
    run(queue, 100)
    assert [now for _, now in fired] == [10.0, 11.0, 12.0]


def test_what_was_put_off_and_disarmed_is_let_go_soon() -> None:
    queue = TimerQueue()
    thing = Thing("x", [])
    queue.arm(thing, 0.2)
    queue.arm(thing, 180.0)
    run(queue, 1.0)
    queue.arm(thing, NEVER)
    gone = weakref.ref(thing)
    del thing
    run(queue, 31.0)
    gc.collect()
    assert gone() is None


def test_re_arming_does_not_grow_the_heap() -> None:
    queue = TimerQueue()
    thing = Thing("x", [])
    for number in range(1000):
        queue.arm(thing, 10.0 + number)
    assert len(queue) == 1


def test_what_is_armed_loosely_fires_together_and_never_too_early() -> None:
    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    for name, due in (("b", 5.01), ("a", 5.2), ("exact", 5.25), ("next", 5.26)):
        queue.arm_loosely(Thing(name, fired), due)
    assert len(queue) == 2
    run(queue, 100)
    assert fired == [("b", 5.25), ("a", 5.25), ("exact", 5.25), ("next", 5.5)]


def test_loosely_armed_things_are_moved_and_disarmed_like_others() -> None:
    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    earlier, later, never, loosely = (Thing(name, fired) for name in ("earlier", "later", "never", "loosely"))
    for thing in (earlier, later, never):
        queue.arm_loosely(thing, 5.0)
    queue.arm(earlier, 3.1)
    queue.arm(later, 7.1)
    queue.arm(never, NEVER)
    queue.arm(loosely, 0.5)
    queue.arm_loosely(loosely, 32.1)
    run(queue, 100)
    assert fired == [("earlier", 3.1), ("later", 7.1), ("loosely", 32.25)]
    assert len(queue) == 0


def test_a_thing_may_arm_itself_loosely_again_as_it_fires() -> None:
    class Again(Thing):
        def fire(self, now: float) -> None:
            super().fire(now)
            if len(self.fired) < 3:
                queue.arm_loosely(self, now)

    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    queue.arm_loosely(Again("x", fired), 1.0)
    queue.fire_due(1.0)
    assert [now for _, now in fired] == [1.0, 1.0, 1.0]


_INSTANTS = st.floats(0, 100, allow_nan=False)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["arm", "loosely", "disarm"]), _INSTANTS)))
def test_each_thing_fires_once_at_its_last_instant(orders: list[tuple[int, str, float]]) -> None:
    fired: list[tuple[str, float]] = []
    queue = TimerQueue()
    things = [Thing(str(number), fired) for number in range(4)]
    wanted: dict[str, tuple[float, float]] = {}  # not before, not after
    for number, how, due in orders:
        thing = things[number]
        if how == "arm":
            queue.arm(thing, due)
            wanted[thing.name] = (due, due)
        elif how == "loosely":
            queue.arm_loosely(thing, due)
            wanted[thing.name] = (due, due + GRAIN_S)
        else:
            queue.arm(thing, NEVER)
            wanted.pop(thing.name, None)
    run(queue, 200)
    assert sorted(name for name, _ in fired) == sorted(wanted)
    assert all(wanted[name][0] <= now <= wanted[name][1] for name, now in fired)
