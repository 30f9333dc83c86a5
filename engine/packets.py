"""What is made for each packet: the way it came or goes, and the packet itself, as input and as effect.

Apart from the rest of the boundary because these are compiled: one of each is made per packet.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Address: TypeAlias = tuple[str, int]
"""Host and port. The host is an IP literal (IPv6 without brackets); in a Send it may be a name, see there."""


class Flow(NamedTuple):
    """The way a message came, and the way back to its sender.

    ``stream`` is the host's number for one connection, from 1; 0 on datagram transports. A Send on a stream
    interface with stream 0 means: over any open connection to this peer, else open one.
    """

    interface: str
    peer: Address
    stream: int = 0


class Datagram:
    """One datagram came in."""

    __slots__ = ("data", "flow")

    def __init__(self, flow: Flow, data: bytes) -> None:
        self.flow = flow
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Datagram) and self.flow == other.flow and self.data == other.data

    def __hash__(self) -> int:
        return hash((self.flow, self.data))

    def __repr__(self) -> str:
        return f"Datagram(flow={self.flow!r}, data={self.data!r})"


class Send:
    """Send these bytes. The peer's host may be a name: the host resolves it, or reports Unreachable.

    Where there is no connection yet, a Send of nothing only opens one.
    """

    __slots__ = ("data", "flow")

    def __init__(self, flow: Flow, data: bytes) -> None:
        self.flow = flow
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Send) and self.flow == other.flow and self.data == other.data

    def __hash__(self) -> int:
        return hash((self.flow, self.data))

    def __repr__(self) -> str:
        return f"Send(flow={self.flow!r}, data={self.data!r})"
