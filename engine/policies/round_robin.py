"""Each node in its turn."""

from __future__ import annotations

from engine.policies.failover import _Failover


class RoundRobin(_Failover):
    """The node that was not chosen for longest, whatever its weight and load."""

    by = "rotation"
