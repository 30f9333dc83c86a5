"""Agents whose connections were lost a moment ago, and what waits for their return.

A browser that loses its WebSocket opens another one within seconds; JsSIP waits for two. Whoever asks for it
meanwhile need not be told that it is gone.
"""

from __future__ import annotations

from typing import Protocol

from engine.boundary import NEVER
from engine.registrar.binding import NO_KEY


class Waiter(Protocol):
    """What waits for one agent."""

    def returned(self, now: float) -> None:
        """The agent is bound again; what answers its REGISTER is not sent yet."""
        ...


class Returns:
    """Who may come back, until when, and who is to be told.

    ``wait_s`` is how long an agent is waited for from the loss of its connection; 0: not at all.
    """

    __slots__ = ("_began_at", "_lost", "_waiters", "wait_s")

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self._began_at = 0.0
        self._lost: dict[bytes, float] = {}  # when, by the key of the binding; oldest first
        self._waiters: dict[bytes, list[Waiter]] = {}

    def begin(self, now: float) -> None:
        """This edge begins to work. All connections of an earlier life were lost with that."""
        self._began_at = now

    def lost(self, key: bytes, now: float) -> None:
        """The connection of this agent was lost."""
        lost = self._lost
        if self._began_at + self.wait_s <= now:
            while lost and lost[oldest := next(iter(lost))] + self.wait_s <= now:
                del lost[oldest]
        lost.pop(key, None)
        lost[key] = now

    def left(self, key: bytes, now: float) -> None:
        """This agent has taken its leave: its connection was not lost, in no life of this edge."""
        self._lost.pop(key, None)
        if now < self._began_at + self.wait_s:
            self._lost[key] = -NEVER

    def until(self, key: bytes, now: float) -> float:
        """Until when this agent is worth waiting for; 0.0 where it isn't.

        One that is not known at all may have lost its connection with an earlier life.
        """
        if key == NO_KEY:
            return 0.0
        until = self._lost.get(key, self._began_at) + self.wait_s
        return until if until > now else 0.0

    def wait(self, key: bytes, waiter: Waiter) -> None:
        self._waiters.setdefault(key, []).append(waiter)

    def leave(self, key: bytes, waiter: Waiter) -> None:
        """Wait no more."""
        waiters = self._waiters.get(key)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[key]

    def back(self, key: bytes, now: float) -> None:
        """This agent is bound again."""
        self._lost.pop(key, None)
        for waiter in self._waiters.get(key, ()):
            waiter.returned(now)

    def __len__(self) -> int:
        """How many agents are waited for."""
        return len(self._waiters)
