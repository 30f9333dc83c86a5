"""What waits for an agent whose connection was lost a moment ago (``engine.registrar.returns``).

A call that comes meanwhile, one that was ringing there, and a BYE: they are sent on the agent's next connection.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from engine.notes import RequestHeld, RequestRefused, RequestResumed
from engine.proxy.following import elsewhere
from engine.registrar import FlowFailedError, Target
from engine.sip.errors import SipError
from engine.timers import Timed

if TYPE_CHECKING:
    from engine.proxy.context import ResponseContext


class Homecoming(Timed):
    """One request that waits until an instant; ``find`` tells where its agent is reached, or raises."""

    __slots__ = ("_began_at", "_context", "_find", "_key", "_method", "_until")

    def __init__(
        self,
        context: ResponseContext,
        key: bytes,
        find: Callable[[], Target | None],
        until: float,
        now: float,
    ) -> None:
        super().__init__()
        self._context = context
        self._key = key
        self._find = find
        self._until = until
        self._began_at = now
        self._method = context.request.method.decode("ascii")
        core = context.core
        core.registrar.returns.wait(key, self)
        core.timers.arm(self, until)
        core.out.append(RequestHeld(context.call_id, self._method, until - now))

    def returned(self, now: float) -> None:
        self._context.core.timers.arm(self, now)  # behind what answers the REGISTER

    def fire(self, now: float) -> None:
        context = self._context
        core = context.core
        try:
            target = self._find()
        except SipError as error:
            other = None
            if isinstance(error, FlowFailedError) and now >= self._until:
                other = elsewhere(core, context.request, error)
            if other is not None:
                self.end()
                self._relay(other, now)
                return
            if now < self._until:  # it is bound again, but gone again
                core.timers.arm(self, self._until)
                return
            self.end()
            self._refuse(error, now)
            return
        self.end()
        core.out.append(RequestResumed(context.call_id, self._method, now - self._began_at))
        self._relay(target, now)

    def _relay(self, target: Target | None, now: float) -> None:
        try:
            self._context.relay(target, now)
        except SipError as error:  # more edges to ask than its Max-Breadth allows
            self._refuse(error, now)

    def _refuse(self, error: SipError, now: float) -> None:
        context = self._context
        source = f"{context.flow.peer[0]}:{context.flow.peer[1]}"
        context.core.out.append(RequestRefused(source, self._method, error.status, error.why))
        context.end_unsent(error.status, now)

    def end(self) -> None:
        """Wait no more."""
        core = self._context.core
        core.registrar.returns.leave(self._key, self)
        core.timers.arm(self, float("inf"))


def hold(context: ResponseContext, key: bytes, find: Callable[[], Target | None], now: float) -> bool:
    """Let a request wait for the agent of this key; False where that isn't worth it."""
    until = context.core.registrar.returns.until(key, now)
    if not until or context.cancelled or context.final_sent:
        return False
    context.homecoming = Homecoming(context, key, find, until, now)
    return True


def hold_again(context: ResponseContext, target: Target, now: float) -> bool:
    """As ``hold``, for a request that was sent, and lost with the agent's connection."""
    targets = context.core.registrar.targets
    return hold(context, target.key, partial(targets.again, target, bool(context.request.to.tag)), now)
