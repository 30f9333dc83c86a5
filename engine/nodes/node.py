"""One node as the edge knows it at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.boundary import Flow
from engine.config import NodeConfig
from engine.nodes import state
from engine.timers import Timed

_LATENCY_WEIGHT = 0.2  # of the newest measurement in the moving average: about the last ten answers count


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """A node for a table or an API. ``latency_s`` is the average of its first answers, None before the first."""

    name: str
    address: str
    groups: tuple[str, ...]
    state: str
    priority: int
    weight: int
    in_use: Mapping[str, int]
    capacity: Mapping[str, int]
    attempts: int
    failures: int
    latency_s: float | None
    closed_for_s: float


class Node:
    """A node's settings, state and channels in use.

    Only the pool changes these; policies read ``name``, ``state``, ``free`` and ``latency_s``.
    """

    __slots__ = (
        "answered_probes",
        "attempts",
        "chosen_at",
        "closed_until",
        "config",
        "current_weight",
        "failures",
        "flow",
        "in_use",
        "last_heard",
        "latency_s",
        "name",
        "probe",
        "silent_in_row",
        "state",
    )

    def __init__(self, config: NodeConfig, flow: Flow) -> None:
        self.name = config.name
        self.config = config
        self.flow = flow
        self.state = state.ACTIVE if config.enabled else state.DISABLED
        self.in_use: dict[str, int] = {}
        self.silent_in_row = 0
        self.answered_probes = 0
        self.last_heard = 0.0
        self.closed_until = 0.0  # it said 503: no new calls until then
        self.latency_s: float | None = None
        self.chosen_at = 0  # number of the choice that last fell on it; breaks ties
        self.current_weight = 0  # of the smooth weighted round robin
        self.attempts = 0
        self.failures = 0
        self.probe: Timed | None = None

    def __repr__(self) -> str:
        return f"<Node {self.name} {self.state}>"

    def free(self, resource: str) -> float:
        """Channels left of a resource; infinite where the node names no bound for it, as for resource ""."""
        capacity = self.config.resources.get(resource)
        if capacity is None:
            return float("inf") if not resource or not self.config.resources else 0.0
        return capacity - self.in_use.get(resource, 0)

    def free_share(self, resource: str) -> float:
        """Channels left as a share of all, 0 to 1."""
        capacity = self.config.resources.get(resource)
        if not capacity:
            return 1.0 if not resource or not self.config.resources else 0.0
        return self.free(resource) / capacity

    def take(self, resource: str) -> None:
        """Reserve a channel."""
        self.in_use[resource] = self.in_use.get(resource, 0) + 1

    def give(self, resource: str) -> None:
        """Give a channel back. Never goes below zero."""
        used = self.in_use.get(resource, 0)
        if used > 0:
            self.in_use[resource] = used - 1

    def measured(self, latency_s: float) -> None:
        """A first answer took so long."""
        if self.latency_s is None:
            self.latency_s = latency_s
        else:
            self.latency_s += _LATENCY_WEIGHT * (latency_s - self.latency_s)

    def snapshot(self, now: float) -> NodeSnapshot:
        host, port = self.flow.peer
        return NodeSnapshot(
            name=self.name,
            address=f"{host}:{port}",
            groups=self.config.groups,
            state=self.state,
            priority=self.config.priority,
            weight=self.config.weight,
            in_use={name: used for name, used in self.in_use.items() if name},
            capacity=dict(self.config.resources),
            attempts=self.attempts,
            failures=self.failures,
            latency_s=self.latency_s,
            closed_for_s=max(0.0, self.closed_until - now),
        )
