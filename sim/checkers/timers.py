"""No transaction outlives its timers."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import ClassVar

from sim.checkers.checker import Checker, Inspectable, Lifetimes
from sim.checkers.reading import status_of
from sim.trace import MessageRecord


class _Recent:
    """How many things happened within the last so many seconds, counted by the second."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._seconds: deque[tuple[int, int]] = deque()

    def count(self, time_s: float) -> None:
        second = int(time_s)
        seconds = self._seconds
        if seconds and seconds[-1][0] == second:
            seconds[-1] = (second, seconds[-1][1] + 1)
            return
        seconds.append((second, 1))
        while seconds[0][0] < second - self._span_s - 1.0:
            seconds.popleft()

    def total(self, now: float) -> int:
        return sum(number for second, number in self._seconds if second >= now - self._span_s - 1.0)


class TransactionTimers(Checker):
    """At the end, an edge may have no more transactions than the wire accounts for.

    Each transaction began with a request that the edge sent or got, and an INVITE's lives on with each provisional
    response; whatever these lie too far back for has outlived its timers. After a drain only probes are recent.
    """

    name: ClassVar[str] = "transaction timers"

    def __init__(self, lifetimes: Mapping[str, Lifetimes]) -> None:
        super().__init__()
        self._requests = {edge: _Recent(each.request_s) for edge, each in lifetimes.items()}
        self._invites = {edge: _Recent(each.invite_s) for edge, each in lifetimes.items()}

    def on_message(self, record: MessageRecord) -> None:
        data = record.data
        if data.startswith(b"ACK ") or status_of(data) >= 200:
            return
        kinds = self._invites if data.startswith((b"INVITE ", b"SIP/2.0 1")) else self._requests
        for place in (record.from_place, record.to_place):
            if place in kinds:
                kinds[place].count(record.time_s)

    def finish(self, now: float, edges: Mapping[str, Inspectable]) -> None:
        for name, edge in edges.items():
            accounted = self._requests[name].total(now) + self._invites[name].total(now)
            live = edge.open_transactions()
            if live > accounted:
                self.violated(now, f"{name} has {live} transactions, {accounted} of them can be accounted for")
