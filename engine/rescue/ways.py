"""Where an agent is reached at this moment: here, by another edge, or not until it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.boundary import Flow
from engine.registrar.binding import NO_KEY

if TYPE_CHECKING:
    from engine.registrar import Registrar
    from engine.registrar.returns import Waiter


class Way(NamedTuple):
    """``route`` is the Route line for an edge that is to reach the agent; empty where we do ourselves."""

    flow: Flow
    route: bytes = b""


class Ways:
    """The ways to agents, by the keys of their bindings."""

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar

    def to(self, key: bytes, flow: Flow, call_id: bytes) -> Way:
        """The way to an agent in a call: by its binding, else as it was on ``flow``.

        Raises
        ------
        SipError
            430 where its connection is gone.
        """
        if key == NO_KEY and not flow.stream:
            return Way(flow)  # a node, or an agent over UDP that has registered nothing
        targets = self._registrar.targets
        target = targets.reach(key, flow)
        if not target.edges or targets.peers is None:
            return Way(target.flow)
        return Way(target.flow, targets.peers.route(key, call_id, target.flow))

    def stands(self, flow: Flow) -> bool:
        """Whether what was sent on this flow can still be answered there."""
        return not flow.stream or flow in self._registrar.targets.connections

    def until(self, key: bytes, now: float) -> float:
        """Until when an agent is worth waiting for; 0.0 where it isn't."""
        return self._registrar.returns.until(key, now)

    def wait(self, key: bytes, waiter: Waiter) -> None:
        """Tell it when the agent is bound again, here or at another edge."""
        self._registrar.returns.wait(key, waiter)

    def leave(self, key: bytes, waiter: Waiter) -> None:
        self._registrar.returns.leave(key, waiter)
