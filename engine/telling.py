"""What another edge is to be told of agents that are reached here: said until it is heard, or is true no more.

An edge that is down or cut off hears nothing, and may still hold connections that only seem to stand. So what it
has not answered is kept, and said when it is back: of each agent once, with the time at which the agent was taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.boundary import NEVER
from engine.sip.message import Response
from engine.sip.transactions import ClientTransaction
from engine.sip.transactions.transaction import ClientUser

_AT_ONCE: Final = 1000  # notices that wait for their answer; an edge that is back is not flooded


class _Word:
    """One notice under way."""

    __slots__ = ("_telling", "key", "taken_at")

    def __init__(self, telling: Telling, key: bytes, taken_at: float) -> None:
        self._telling = telling
        self.key = key
        self.taken_at = taken_at

    # ClientUser

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status >= 200:
            self._telling.ended(self, True, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._telling.ended(self, False, now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._telling.ended(self, False, now)


class Telling:
    """All that one other edge has not heard yet, of at most ``most`` agents: the oldest are given up.

    ``lives`` tells whether that edge does, ``reaches`` whether an agent is reached here still; ``send`` sends a
    notice of an agent and of the time at which it was taken.
    """

    def __init__(
        self,
        most: int,
        lives: Callable[[], bool],
        reaches: Callable[[bytes], bool],
        send: Callable[[bytes, float, ClientUser, float], None],
    ) -> None:
        self._most = most
        self._lives = lives
        self._reaches = reaches
        self._send = send
        self._due: dict[bytes, float] = {}  # when each was taken, oldest first
        self._said: dict[bytes, _Word] = {}  # and not answered

    def took(self, key: bytes, now: float) -> None:
        """An agent is reached here from now on."""
        self.forget(key)
        if len(self) >= self._most:
            self.forget(next(iter(self._said or self._due)))
        self._due[key] = now
        self._go_on(now)

    def taken_at(self, key: bytes) -> float:
        """When an agent was taken of which this edge has not heard; long ago where it has."""
        word = self._said.get(key)
        return self._due.get(key, -NEVER) if word is None else word.taken_at

    def forget(self, key: bytes) -> None:
        """It is reached elsewhere."""
        self._due.pop(key, None)
        self._said.pop(key, None)

    def begin_again(self, now: float) -> None:
        """The edge is back: whatever it has not answered is said once more."""
        self._due = {key: word.taken_at for key, word in self._said.items()} | self._due
        self._said.clear()
        self._go_on(now)

    def ended(self, word: _Word, heard: bool, now: float) -> None:
        """A notice was answered, or never will be."""
        if self._said.get(word.key) is not word:
            return
        del self._said[word.key]
        if not heard:
            self._due[word.key] = word.taken_at
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        while self._due and len(self._said) < _AT_ONCE and self._lives():
            key, taken_at = next(iter(self._due.items()))
            del self._due[key]
            if self._reaches(key):
                word = self._said[key] = _Word(self, key, taken_at)
                self._send(key, taken_at, word, now)

    def __len__(self) -> int:
        return len(self._due) + len(self._said)
