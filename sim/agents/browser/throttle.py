"""What Chromium does to the timers of a hidden tab; what comes over its WebSocket is handled at once all the same.

Timers of a hidden tab ring on whole seconds only. After five minutes those in a chain - set by a timer that was
set by a timer, five deep, as every ``setInterval`` is - ring once a minute (chromestatus 4718288976216064). JsSIP
sets its timers when messages come, so most of them escape; ``intensive`` is the tab where none does. A tab with
live sound is spared, so a call lifts the throttling.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from engine.boundary import NEVER

SECOND_S: Final = 1.0
MINUTE_S: Final = 60.0
INTENSIVE_AFTER_S: Final = 300.0


class Throttle:
    """The grid on which a hidden tab's timers ring; ``phase_s`` is where this machine's seconds begin."""

    __slots__ = ("_hidden_at", "_intensive", "_phase_s")

    def __init__(self, intensive: bool, phase_s: float) -> None:
        self._intensive = intensive
        self._phase_s = phase_s
        self._hidden_at = NEVER

    def hide(self, now: float) -> None:
        """The user turned to another tab."""
        self._hidden_at = min(self._hidden_at, now)

    def show(self) -> None:
        """The user came back."""
        self._hidden_at = NEVER

    def rings_at(self, due: float) -> float:
        """When a timer that is due then rings."""
        if due < self._hidden_at or due == NEVER:
            return due
        minutes = self._intensive and due >= self._hidden_at + INTENSIVE_AFTER_S
        grid_s = MINUTE_S if minutes else SECOND_S
        return ceil((due - self._phase_s) / grid_s) * grid_s + self._phase_s
