"""Sessions in use: live legs, and those that a refused or abandoned INVITE still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import NEVER
from engine.timers import Timed, TimerQueue

if TYPE_CHECKING:
    from sim.agents.freeswitch.leg import Leg


class Sessions:
    """Legs by Call-ID, and the sessions that linger."""

    __slots__ = ("_linger_s", "_lingering", "_timers", "legs")

    def __init__(self, timers: TimerQueue, linger_s: float) -> None:
        self._timers = timers
        self._linger_s = linger_s
        self._lingering: dict[bytes, _Lingering] = {}
        self.legs: dict[bytes, Leg] = {}

    @property
    def in_use(self) -> int:
        """How many count against the limit."""
        return len(self.legs) + len(self._lingering)

    def linger(self, call_id: bytes, now: float) -> None:
        """The INVITE of this call was challenged or refused: its session is held for a while."""
        session = self._lingering.setdefault(call_id, _Lingering(self, call_id))
        self._timers.arm(session, now + self._linger_s)

    def take_over(self, call_id: bytes) -> None:
        """The call goes on in the session that lingered for it."""
        session = self._lingering.pop(call_id, None)
        if session is not None:
            self._timers.arm(session, NEVER)

    def end(self, call_id: bytes) -> None:
        """The time of a lingering session is over."""
        self._lingering.pop(call_id, None)


class _Lingering(Timed):
    __slots__ = ("_call_id", "_sessions")

    def __init__(self, sessions: Sessions, call_id: bytes) -> None:
        super().__init__()
        self._sessions = sessions
        self._call_id = call_id

    def fire(self, now: float) -> None:
        self._sessions.end(self._call_id)
