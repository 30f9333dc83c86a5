"""Which node has asked for credentials: a nonce is good at the node that made it, and nowhere else."""

from __future__ import annotations

from typing import Final

# Anyone can have a REGISTER challenged, so the oldest gives way: what is lost is one more challenge.
_MOST: Final = 10_000


class Homes:
    """The nodes that challenged, by digest of the Call-ID."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes: dict[bytes, str] = {}

    def remember(self, call: bytes, node: str) -> None:
        self._nodes.pop(call, None)
        if len(self._nodes) >= _MOST:
            del self._nodes[next(iter(self._nodes))]
        self._nodes[call] = node

    def forget(self, call: bytes) -> None:
        """The answer was accepted."""
        self._nodes.pop(call, None)

    def of(self, call: bytes) -> str:
        """The node that challenged this registration; "" where none did."""
        return self._nodes.get(call, "")

    def __len__(self) -> int:
        return len(self._nodes)
