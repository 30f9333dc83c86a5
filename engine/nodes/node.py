"""One node as the edge knows it at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.boundary import Flow
from engine.config import NodeConfig
from engine.nodes import state
from engine.timers import Timed

_NO_BOUND: Final = float("inf")
_LATENCY_WEIGHT: Final = 0.2  # of the newest measurement in the moving average: about the last ten answers count


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
    # What the node itself tells by its event socket; None where it has none, or has not told yet.
    events: bool | None  # whether it is connected
    sessions: int | None
    max_sessions: int | None
    idle_cpu: float | None  # as a share
    paused: bool


class NodeLoad:
    """What a node's event socket says of it. ``current`` while that is connected; else it is what it said last."""

    __slots__ = ("current", "idle_share", "max_sessions", "paused", "sessions")

    def __init__(self) -> None:
        self.current = False
        self.sessions = 0
        self.max_sessions = 0
        self.idle_share = 1.0
        self.paused = False

    @property
    def refuses(self) -> str:
        """Why the node would refuse a call now, "" where it would not."""
        if not self.current:
            return ""
        if self.paused:
            return "paused"
        return f"full, {self.sessions} sessions" if self.sessions >= self.max_sessions else ""


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
        "load",
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
        self.load: NodeLoad | None = None
        self.chosen_at = 0  # number of the choice that last fell on it; breaks ties
        self.current_weight = 0  # of the smooth weighted round robin
        self.attempts = 0
        self.failures = 0
        self.probe: Timed | None = None

    def __repr__(self) -> str:
        return f"<Node {self.name} {self.state}>"

    def free(self, resource: str) -> float:
        """Channels left of a resource; infinite where the node names no bound for it, as for resource ""."""
        if not resource:
            return _NO_BOUND
        capacity = self.config.resources.get(resource)
        if capacity is not None:
            return capacity - self.in_use.get(resource, 0)
        if resource in self.config.told_resources:
            return self._free_sessions()
        return 0.0 if self.config.lacks(resource) else _NO_BOUND

    def free_share(self, resource: str) -> float:
        """Channels left as a share of all, 0 to 1."""
        capacity = self.config.resources.get(resource)
        if capacity is None and resource in self.config.told_resources:
            capacity = self.load.max_sessions if self.load is not None else 0
        if capacity:
            return self.free(resource) / capacity
        return 1.0 if self.free(resource) == float("inf") else 0.0

    def _free_sessions(self) -> float:
        """Sessions left, by the node's word; infinite before its first one, for it refuses by itself.

        A node's busy CPU makes it less attractive (OpenSIPS' load_balancer does the same), but shuts it not: where
        all are busy, calls must go somewhere. Its word comes later than our own calls, so the larger count holds.
        """
        load = self.load
        if load is None:
            return float("inf")
        ours = sum(self.in_use.values())
        left = load.max_sessions - (max(load.sessions, ours) if load.current else ours)
        return max(1.0, left * load.idle_share) if left >= 1 else 0.0

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
        load = self.load
        return NodeSnapshot(
            name=self.name,
            address=f"{host}:{port}",
            groups=self.config.groups,
            state=self.state,
            priority=self.config.priority,
            weight=self.config.weight,
            in_use={name: used for name, used in self.in_use.items() if name},
            capacity=self._capacity(),
            attempts=self.attempts,
            failures=self.failures,
            latency_s=self.latency_s,
            closed_for_s=max(0.0, self.closed_until - now),
            events=None if self.config.events is None else load is not None and load.current,
            sessions=load.sessions if load is not None else None,
            max_sessions=load.max_sessions if load is not None else None,
            idle_cpu=load.idle_share if load is not None else None,
            paused=load is not None and load.paused,
        )

    def _capacity(self) -> dict[str, int]:
        told = self.load.max_sessions if self.load is not None else None
        known = dict(self.config.resources)
        if told is not None:
            known.update(dict.fromkeys(self.config.told_resources, told))
        return known
