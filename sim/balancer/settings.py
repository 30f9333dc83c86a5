"""What one balancer does. All durations are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerSettings:
    """One listener of one balancer."""

    # Who serves a new flow. source: the same for each address as long as the same are healthy (sticky);
    # flow: by address and port; round_robin: in turn.
    choice: Literal["source", "flow", "round_robin"] = "flow"
    keeps_source: bool = True  # else the targets see the balancer's own address, as behind a proxy
    tcp_idle_s: float = 300.0
    udp_idle_s: float = 120.0
    # What becomes of an idle TCP connection. close: both ends are told; reset: whoever speaks next; drop: neither.
    on_idle: Literal["close", "reset", "drop"] = "reset"
    moves: bool = True  # a UDP flow leaves a target that became unhealthy
    fails_open: bool = False  # with no healthy target all are taken for healthy

    # A target's port is looked at so often: whether somebody has it open.
    check_interval_s: float = 10.0
    check_timeout_s: float = 5.0  # no answer for so long is a failure too
    unhealthy_after: int = 3  # failures in a row
    healthy_after: int = 3  # successes in a row

    max_sessions: int = 200_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_s") and not 0.0 < value < math.inf:
                raise ValueError(f"{field.name} is {value}: give a duration of more than 0 s")
            if field.name in ("unhealthy_after", "healthy_after", "max_sessions") and value < 1:
                raise ValueError(f"{field.name} is {value}: give 1 or more")
