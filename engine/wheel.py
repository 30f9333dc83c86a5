"""A time wheel: tens of thousands of deadlines that may come a little late, for the price of one heap entry.

Connections and keep-alives are many, each has one deadline, and nearly every deadline has moved when it comes. So
nothing is moved when something happens: a rider is looked at when its slot comes up, and says when to look again.
All that fall into one slot of the grid are looked at in one tick of the machine.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil
from typing import Final

from mypy_extensions import mypyc_attr

from engine.timers import NEVER, Timed, TimerQueue

GRID_S: Final = 0.0625  # a power of two, so that a slot's instant is exact
_OFF: Final = 1 << 62
# No look is further ahead than this, for a rider that left stays in its slot until that comes up.
_HORIZON_S: Final = 30.0
_PAUSE_S: Final = 1.0  # a tick so late means that the machine stood still
_GRACE_SLOTS: Final = int(1.0 / GRID_S)


@mypyc_attr(allow_interpreted_subclasses=True)
class Rider:
    """Something with one deadline on a wheel."""

    __slots__ = ("slot",)

    def __init__(self) -> None:
        self.slot = _OFF  # the one in which it is looked at next; older entries mean nothing

    def look(self, now: float) -> float:
        """Do what is due. The result is the next deadline, NEVER where there is none.

        The call may come early, when nothing is due yet.
        """
        raise NotImplementedError


class Wheel(Timed):
    """Looks at each rider at its deadline, or up to GRID_S later."""

    __slots__ = ("_order", "_slots", "_timers")

    def __init__(self, timers: TimerQueue) -> None:
        super().__init__()
        self._timers = timers
        self._slots: dict[int, list[Rider]] = {}
        self._order: list[int] = []  # heap of the slots' numbers: at most one for each step of the horizon

    def look_by(self, rider: Rider, due: float, now: float) -> None:
        """See that the rider is looked at by ``due``; a look that comes earlier anyway is enough."""
        slot = max(ceil(min(due, now + _HORIZON_S) / GRID_S), int(now / GRID_S) + 1)  # never the slot at work
        if slot < rider.slot:
            self._put(rider, slot)

    def leave(self, rider: Rider) -> None:
        """Look at this one no more."""
        rider.slot = _OFF

    def fire(self, now: float) -> None:
        self.due = now  # keeps _put from arming: that is done once, below
        order = self._order
        if order and now - order[0] * GRID_S > _PAUSE_S:
            self._postpone(now)
        while order and order[0] * GRID_S <= now:
            number = heappop(order)
            for rider in self._slots.pop(number):
                if rider.slot == number:
                    rider.slot = _OFF
                    due = rider.look(now)
                    if due < NEVER:
                        self.look_by(rider, due, now)
        self._timers.arm(self, order[0] * GRID_S if order else NEVER)

    def _postpone(self, now: float) -> None:
        """After a pause: hear what came meanwhile before anyone is judged. The overdue keep their distances."""
        order = self._order
        shift = int(now / GRID_S) - order[0] + _GRACE_SLOTS
        while order and order[0] * GRID_S <= now:
            number = heappop(order)
            for rider in self._slots.pop(number):
                if rider.slot == number:
                    self._put(rider, number + shift)

    def _put(self, rider: Rider, slot: int) -> None:
        rider.slot = slot
        riders = self._slots.get(slot)
        if riders is not None:
            riders.append(rider)
            return
        self._slots[slot] = [rider]
        heappush(self._order, slot)
        if slot * GRID_S < self.due:
            self._timers.arm(self, slot * GRID_S)

    def __len__(self) -> int:
        """How many entries there are, those of riders that left included."""
        return sum(map(len, self._slots.values()))
