"""The node that answers fastest."""

from __future__ import annotations

from engine.policies.failover import _Failover


class Latency(_Failover):
    """Shortest first answer, as a moving average over calls: nodes in several places, or of unlike strength."""

    by = "latency"
