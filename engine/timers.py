"""All the timers of one machine in one heap, cheap to arm and free to cancel.

A call sets a dozen timers and nearly none of them fires, so nothing is ever taken out of the heap: a thing that is
armed later than its entry stays where it is and is put back when the entry comes up; one that is disarmed is
dropped then. Each thing has at most one live entry, so the heap is bounded by the number of things.
"""

from __future__ import annotations

from heapq import heappop, heappush

from mypy_extensions import mypyc_attr

from engine.boundary import NEVER

# A thing that is put back gets no entry further ahead than this, for its entry keeps it in memory: a call that
# was answered must not wait there for the end of its timer C.
_HORIZON_S = 30.0


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

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._count = 0  # breaks ties in the order of arming, so that runs are reproducible

    def arm(self, thing: Timed, due: float) -> None:
        """Let ``thing`` fire at ``due`` (seconds, on the machine's clock); NEVER disarms it."""
        thing.due = due
        if due < thing.queued:
            thing.queued = due
            self._count += 1
            heappush(self._heap, (due, self._count, thing))

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
            if queued == thing.queued and thing.due <= now:
                thing.queued = thing.due = NEVER
                thing.fire(now)
            else:
                self._put_back(queued, thing)

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
