"""What a stand-in needs of the edge around it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from engine.boundary import NEVER, Effect, Flow
from engine.here import Here
from engine.rescue.ways import Ways
from engine.sip.headers import MAGIC_COOKIE
from engine.sip.transactions import TransactionLayer
from engine.timers import TimerQueue

if TYPE_CHECKING:
    from engine.rescue.errand import Errand


class Ground(NamedTuple):
    """``lifetime_s`` is how long a dialog is stood in for at most; ``on_streams`` are the errands whose answers
    are to come on a connection."""

    here: Here
    layer: TransactionLayer
    timers: TimerQueue
    out: list[Effect]
    rng: Random
    ways: Ways
    on_streams: dict[Flow, dict[Errand, None]]
    lifetime_s: float = NEVER

    def branch(self) -> bytes:
        """A new Via branch, which nobody can guess."""
        return MAGIC_COOKIE + b"%032x" % self.rng.getrandbits(128)
