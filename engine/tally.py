"""Facts that a stranger can cause at any rate: counted, and told once a second with their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.boundary import Effect, Note
from engine.timers import Timed, TimerQueue

_INTERVAL_S: Final = 1.0


class Tally(Timed):
    """Counts per kind of Note, interface and reason. Reasons must be few: they are not the stranger's words."""

    __slots__ = ("_counts", "_out", "_timers")

    def __init__(self, timers: TimerQueue, out: list[Effect]) -> None:
        super().__init__()
        self._timers = timers
        self._out = out
        self._counts: dict[tuple[Callable[[str, str, int], Note], str, str], int] = {}

    def add(self, kind: Callable[[str, str, int], Note], interface: str, why: str, now: float) -> None:
        """Count one more; ``kind`` is a Note of interface, reason and count."""
        if not self._counts:
            self._timers.arm(self, now + _INTERVAL_S)
        key = (kind, interface, why)
        self._counts[key] = self._counts.get(key, 0) + 1

    def fire(self, now: float) -> None:
        for (kind, interface, why), count in self._counts.items():
            self._out.append(kind(interface, why, count))
        self._counts.clear()
