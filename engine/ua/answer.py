"""A 2xx to an INVITE, repeated by the callee until its ACK comes (RFC 3261 §13.3.1.4, RFC 6026)."""

from __future__ import annotations

from collections.abc import Callable

from engine.boundary import NEVER
from engine.sip.message import Response
from engine.sip.transactions import ServerTransaction
from engine.timers import Timed, TimerQueue

T1_S = 0.5
T2_S = 4.0


class UnconfirmedAnswer(Timed):
    """Sends the 2xx at once, then after T1, doubling up to T2; after 64*T1 without an ACK it gives up."""

    __slots__ = ("_give_up", "_gives_up_at", "_interval_s", "_response", "_timers", "_transaction")

    def __init__(
        self,
        transaction: ServerTransaction,
        response: Response,
        timers: TimerQueue,
        give_up: Callable[[float], None],
        now: float,
    ) -> None:
        super().__init__()
        self._transaction = transaction
        self._response = response
        self._timers = timers
        self._give_up = give_up
        self._interval_s = T1_S
        self._gives_up_at = now + 64 * T1_S
        timers.arm(self, now + T1_S)
        transaction.respond(response, now)

    def fire(self, now: float) -> None:
        if now >= self._gives_up_at:
            self._give_up(now)
            return
        self._transaction.respond(self._response, now)
        self._interval_s = min(2 * self._interval_s, T2_S)
        self._timers.arm(self, min(now + self._interval_s, self._gives_up_at))

    def confirm(self) -> None:
        """The ACK came, or the call is over: repeat no more."""
        self._timers.arm(self, NEVER)
