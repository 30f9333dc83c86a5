"""How far the sides of a dialog have counted before a 2xx confirms it.

PRACK, UPDATE and INFO pass in early dialogs (RFC 3262, RFC 3311, RFC 6086), and a request that the edge makes in a
side's name must be numbered above all of that side's, not above its INVITE alone (RFC 3261 §12.2.1.1).
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from engine.sip.message import Request
from engine.timers import Timed, TimerQueue

_LINGERS_S: Final = 32.0  # 64*T1: so long another 2xx may make another dialog (RFC 6026 §7.1)
_MOST_COUNTS: Final = 32  # of one call: two for each dialog that a fork may make


class Numbers(NamedTuple):
    """The CSeq number of each side's last request; 0 where it has sent none."""

    caller: int
    callee: int


class _Counts:
    """Of one Call-ID, which several INVITEs may share."""

    __slots__ = ("invites", "numbers")

    def __init__(self) -> None:
        self.invites = 0
        self.numbers: dict[tuple[bytes, bytes], int] = {}  # by the tags of who sends and of whom it is for


class EarlyDialogs(Timed):
    """The numbers of those calls that ring, or were answered a moment ago."""

    __slots__ = ("_calls", "_closing", "_timers")

    def __init__(self, timers: TimerQueue) -> None:
        super().__init__()
        self._timers = timers
        self._calls: dict[bytes, _Counts] = {}
        self._closing: deque[tuple[float, bytes]] = deque()

    def opens(self, call_id: bytes) -> None:
        """An INVITE has a provisional response: there may be an early dialog."""
        counts = self._calls.get(call_id)
        if counts is None:
            counts = self._calls[call_id] = _Counts()
        counts.invites += 1

    def closes(self, call_id: bytes, now: float) -> None:
        """It has its final one."""
        self._closing.append((now + _LINGERS_S, call_id))
        if len(self._closing) == 1:
            self._timers.arm(self, now + _LINGERS_S)

    def passes(self, request: Request) -> None:
        """A request within a dialog goes by."""
        counts = self._calls.get(request.call_id) if self._calls else None
        if counts is None:
            return
        key = (request.from_.tag, request.to.tag)
        numbers = counts.numbers
        if key in numbers or len(numbers) < _MOST_COUNTS:
            numbers[key] = max(numbers.get(key, 0), request.cseq.number)

    def numbers(self, invite: Request, callee_tag: bytes) -> Numbers:
        """Where the sides stand now that a 2xx with this tag answers the INVITE."""
        number = invite.cseq.number
        counts = self._calls.get(invite.call_id)
        if counts is None or not counts.numbers:
            return Numbers(number, 0)
        numbers, caller_tag = counts.numbers, invite.from_.tag
        return Numbers(
            max(number, numbers.get((caller_tag, callee_tag), 0)), numbers.get((callee_tag, caller_tag), 0)
        )

    def fire(self, now: float) -> None:
        """The oldest of those that have their final response are over for good."""
        closing = self._closing
        while closing:
            due, call_id = closing[0]
            if due > now:
                self._timers.arm(self, due)
                return
            closing.popleft()
            counts = self._calls[call_id]
            counts.invites -= 1
            if not counts.invites:
                del self._calls[call_id]

    def __len__(self) -> int:
        """Of how many calls something may be known."""
        return len(self._calls)
