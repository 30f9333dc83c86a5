"""All the timers of one machine in one heap, cheap to arm and free to cancel.

A call sets a dozen timers and nearly none of them fires, so nothing is ever taken out of the heap: a thing that is
armed later than its entry stays where it is and is put back when the entry comes up; one that is disarmed is
dropped then. Each thing has at most one live entry, so the heap is bounded by the number of things.

Most of what does fire only ends something that has been over for long. Such a thing is armed *loosely*: all that
are due within the same quarter of a second share one entry, so that the host is woken once for all of them.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil
from typing import Final

from mypy_extensions import mypyc_attr

from engine.boundary import NEVER as _NEVER

NEVER: Final = _NEVER  # of a compiled module, and so a constant to the compiler

# A thing that is put back gets no entry further ahead than this, for its entry keeps it in memory: a call that
# was answered must not wait there for the end of its timer C.
_HORIZON_S: Final = 30.0

GRAIN_S: Final = 0.25
"""What is armed loosely fires up to so much later; a power of two, so that multiples are exact."""


@mypyc_attr(allow_interpreted_subclasses=True)  # the modelled agents stay plain Python
class Timed:
    """Something with one deadline. Subclasses say in ``fire`` what happens when it comes."""

    __slots__ = ("due", "queued")

    def __init__(self) -> None:
        self.due = NEVER
        self.queued = NEVER  # when the earliest heap entry of this thing comes up

    def fire(self, now: float) -> None:
        raise NotImplementedError


class TimerQueue:
    """The deadlines of many things; the machine's own deadline is the earliest of them."""

    __slots__ = ("_count", "_heap", "_sheaves")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._sheaves: dict[float, _Sheaf] = {}  # by the instant at which each comes up
        self._count = 0  # breaks ties in the order of arming, so that runs are reproducible

    def arm(self, thing: Timed, due: float) -> None:
        """Let ``thing`` fire at ``due`` (seconds, on the machine's clock); NEVER disarms it."""
        thing.due = due
        if due < thing.queued:
            thing.queued = due
            self._count += 1
            heappush(self._heap, (due, self._count, thing))

    def arm_loosely(self, thing: Timed, due: float) -> None:
        """As ``arm``, but ``thing`` fires at the first multiple of GRAIN_S that is not before ``due``.

        Each arming for another instant adds an entry, so this is for what is not armed again and again.
        """
        due = ceil(due / GRAIN_S) * GRAIN_S
        thing.due = due
        if due == thing.queued:
            return
        thing.queued = due  # its earlier entry in the heap, if any, says nothing any more
        sheaf = self._sheaves.get(due)
        if sheaf is None:
            sheaf = self._sheaves[due] = _Sheaf(self, due)
            self.arm(sheaf, due)
        sheaf.things.append(thing)

    def deadline(self) -> float:
        """When to call ``fire_due`` next."""
        heap = self._heap
        while heap:
            queued, _, thing = heap[0]
            if queued == thing.queued and queued == thing.due:
                return queued
            heappop(heap)
            self._put_back(queued, thing)
        return NEVER

    def fire_due(self, now: float) -> None:
        """Fire everything that is due, in the order of the deadlines."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            queued, _, thing = heappop(heap)
            self.come_up(queued, thing, now)

    def come_up(self, queued: float, thing: Timed, now: float) -> None:
        """An entry that was made for ``queued`` has its turn: its thing fires if it is still to."""
        if queued == thing.queued and thing.due <= now:
            thing.queued = thing.due = NEVER
            thing.fire(now)
        else:
            self._put_back(queued, thing)

    def take_sheaf(self, due: float) -> None:
        """Nothing more can be added to it."""
        del self._sheaves[due]

    def _put_back(self, queued: float, thing: Timed) -> None:
        """An entry came up that says nothing any more; its thing, where still armed, gets one that does."""
        if queued != thing.queued:
            return  # an earlier entry took over
        thing.queued = NEVER
        due = thing.due
        if due < NEVER:
            self.arm(thing, min(due, queued + _HORIZON_S))
            thing.due = due

    def __len__(self) -> int:
        return len(self._heap)


class _Sheaf(Timed):
    """All things that were armed loosely for one instant."""

    __slots__ = ("_at", "_timers", "things")

    def __init__(self, timers: TimerQueue, at: float) -> None:
        super().__init__()
        self._timers = timers
        self._at = at
        self.things: list[Timed] = []

    def fire(self, now: float) -> None:
        timers = self._timers
        timers.take_sheaf(self._at)
        for thing in self.things:
            timers.come_up(self._at, thing, now)
