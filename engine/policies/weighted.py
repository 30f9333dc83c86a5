"""Shares by weight."""

from __future__ import annotations

from engine.policies.failover import _Failover


class Weighted(_Failover):
    """Each node in its turn, as often as its weight says; one of weight 0 only where no other can serve."""

    by = "round_robin"
