"""What a stand-in needs of the edge around it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from engine.boundary import NEVER, Effect, Flow
from engine.here import Here
from engine.sip.headers import MAGIC_COOKIE
from engine.sip.transactions import TransactionLayer
from engine.timers import TimerQueue


class Ground(NamedTuple):
    """``way`` tells where an agent is reached now: by the key of its binding, else as it was.

    It raises SipError (430) where the flow is gone. ``lifetime_s`` is how long a dialog is stood in for at most.
    """

    here: Here
    layer: TransactionLayer
    timers: TimerQueue
    out: list[Effect]
    rng: Random
    way: Callable[[bytes, Flow], Flow]
    lifetime_s: float = NEVER

    def branch(self) -> bytes:
        """A new Via branch, which nobody can guess."""
        return MAGIC_COOKIE + b"%032x" % self.rng.getrandbits(128)
