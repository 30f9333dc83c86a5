"""So many at once and no more: the calls of a node that died must not bring down the others."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from engine.timers import Timed, TimerQueue


class Turn(Protocol):
    """What waits. ``over`` where it is wanted no more."""

    over: bool

    def begin(self, now: float) -> None: ...


class Turns(Timed):
    """A queue in the order of the times from which on each may begin, with a distance between any two.

    It holds a call's dialog at most once each, so it is bounded as they are.
    """

    def __init__(self, timers: TimerQueue, per_s: float) -> None:
        super().__init__()
        self._timers = timers
        self._distance_s = 1.0 / per_s
        self._free_at = 0.0
        self._fresh: deque[tuple[float, Turn]] = deque()
        self._again: deque[tuple[float, Turn]] = deque()  # all wait equally long: it is in order, too

    def add(self, turn: Turn, at: float, now: float) -> None:
        """Let it begin at ``at``, or later."""
        (self._fresh if at <= now else self._again).append((at, turn))
        self._arm()

    def _arm(self) -> None:
        heads = [queue[0][0] for queue in (self._fresh, self._again) if queue]
        if heads:
            self._timers.arm(self, max(min(heads), self._free_at))

    def fire(self, now: float) -> None:
        for queue in (self._fresh, self._again):
            while queue and queue[0][0] <= now:
                _, turn = queue.popleft()
                if turn.over:
                    continue
                self._free_at = now + self._distance_s
                self._arm()
                turn.begin(now)
                return
        self._arm()
