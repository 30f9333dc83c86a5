"""What most policies share: try nodes in some order until one answers for itself."""

from __future__ import annotations

from engine.policy import Call, Policy


class _Failover(Policy):
    """Try nodes of one group, chosen one by one, and fail over at 408 and 5xx.

    Parameters
    ----------
    group
        The nodes to choose from.
    resource
        The kind of channel that a call takes.
    timeout_s
        Seconds to wait for a node's first answer. Just above T1, so that one lost packet has been repeated.
    ring_s
        Seconds to let it ring; timer C where None.
    """

    by = "most_free"

    def __init__(
        self, group: str = "fs", resource: str = "pstn", timeout_s: float = 0.6, ring_s: float | None = None
    ) -> None:
        if timeout_s <= 0:
            raise ValueError("timeout_s must be above 0")
        self.group = group
        self.resource = resource
        self.timeout_s = timeout_s
        self.ring_s = ring_s

    def key(self, call: Call) -> str | None:
        """What a hashing algorithm hashes."""
        return None

    async def invite(self, call: Call) -> None:
        for node in call.nodes(self.group, resource=self.resource, by=self.by, key=self.key(call)):
            answer = await call.try_(node, timeout_s=self.timeout_s, ring_s=self.ring_s)
            if not answer.failed_over:
                return
        call.reject(503, "No node can take the call", retry_after_s=5)
