"""Agents whose node is gone where the nodes share nothing, or whose edge drains: they are made to register anew.

It is done without a storm.

An agent on a connection loses that, at an instant of its own within the window, and registers anew when it is
back. One on UDP can't be told; its next refresh goes to a node that lives, and comes soon, because such agents are
granted little in the first place.
"""

from __future__ import annotations

import random
from typing import Protocol

from engine.boundary import NEVER, Effect, Flow
from engine.config import RegistrarConfig
from engine.notes import ContactOrphaned
from engine.registrar.bindings import Bindings
from engine.wheel import Rider, Wheel


class Connections(Protocol):
    """The connections that stand."""

    def __contains__(self, flow: object) -> bool: ...

    def close(self, flow: Flow, reason: str, now: float) -> None:
        """End one."""
        ...


class Rehoming:
    """Watches over the agents of nodes that are lost."""

    __slots__ = ("_bindings", "_out", "_rng", "_wheel", "connections", "leaving")

    def __init__(self, bindings: Bindings, out: list[Effect], wheel: Wheel, rng: random.Random) -> None:
        self._bindings = bindings
        self._out = out
        self._wheel = wheel
        self._rng = rng
        self.connections: Connections | None = None
        self.leaving = False  # all agents are sent away: the edge drains

    def node_lost(self, node: str, config: RegistrarConfig, now: float) -> None:
        """A node takes nothing new any more: calls go to others, which don't know its agents."""
        flows: dict[Flow, float] = {}
        for binding in self._bindings:
            if binding.node != node or binding.stale:
                continue
            binding.stale = True
            flow = binding.flow
            back_at = binding.expires_at
            if flow is not None and flow.stream:
                back_at = flows.get(flow, NEVER)
                if back_at == NEVER:
                    back_at = flows[flow] = now + self._rng.random() * config.rehome_window_s
            self._out.append(ContactOrphaned(*binding.told, node, back_at - now))
        for flow, at in flows.items():
            self._wheel.look_by(Recall(self, flow, at), at, now)

    def leave(self, leaving: bool, config: RegistrarConfig, now: float) -> None:
        """Send all agents on connections away, each at an instant of its own, or don't any more."""
        if leaving and not self.leaving:
            flows = {each.flow: None for each in self._bindings if each.flow is not None and each.flow.stream}
            for flow in flows:
                at = now + self._rng.random() * config.rehome_window_s
                self._wheel.look_by(Recall(self, flow, at), at, now)
        self.leaving = leaving

    def recall(self, flow: Flow, now: float) -> None:
        """The time of one connection has come; unless its agents have a node again, or the edge drains no more."""
        if self.connections is None:
            return
        bindings = self._bindings.on(flow)
        if self.leaving and bindings:
            self.connections.close(flow, "the edge drains", now)
        elif any(binding.stale for binding in bindings):
            self.connections.close(flow, "its node is lost", now)


class Recall(Rider):
    """One connection that is to be closed."""

    __slots__ = ("_at", "_flow", "_rehoming")

    def __init__(self, rehoming: Rehoming, flow: Flow, at: float) -> None:
        super().__init__()
        self._rehoming = rehoming
        self._flow = flow
        self._at = at

    def look(self, now: float) -> float:
        if now < self._at:
            return self._at
        self._rehoming.recall(self._flow, now)
        return NEVER


def longest_s(config: RegistrarConfig, flow: Flow) -> int:
    """The longest expiry that an agent on this flow is granted."""
    if config.shared or flow.stream:
        return config.agent_max_expires_s
    return min(config.agent_max_expires_s, max(int(config.rehome_window_s), config.agent_min_expires_s, 1))
