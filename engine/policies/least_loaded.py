"""The default: the node with most free channels, moved on from within a fraction of a second when it is dead."""

from __future__ import annotations

from engine.policies.failover import _Failover


class LeastLoaded(_Failover):
    """Most free channels of the resource first.

    Unlike the seed's routing it passes over nodes that are down, or that owe an answer while others can serve; it
    leaves a node within ``timeout_s``; REGISTER fails over as INVITE does; and a 6xx, which speaks for the callee
    everywhere (RFC 3261 §21.6), ends the call.
    """

    by = "most_free"
