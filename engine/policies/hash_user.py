"""A user's calls meet at one node: for voice mail, queues and call pick-up that live in the node's memory."""

from __future__ import annotations

from engine.policies.failover import _Failover
from engine.policy import Call


class HashUser(_Failover):
    """The node follows from the caller's user name; when a node leaves, only its own users move."""

    by = "rendezvous"

    def key(self, call: Call) -> str | None:
        return call.from_user
