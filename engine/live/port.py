"""What the host and its ports (one per interface) know of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from engine.boundary import Flow, Input, Interface, Note
from engine.live.settings import LiveSettings
from engine.live.tls import Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class PortStats:
    """Counters of one interface since its start."""

    interface: str
    transport: str
    received: int  # datagrams, or reads on connections
    sent: int
    lost_kernel: int = 0
    lost_queue: int = 0
    connections: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a port needs of its host."""

    loop: asyncio.AbstractEventLoop
    settings: LiveSettings
    feed: Callable[[Iterable[Input]], None]
    tell: Callable[[Note], None]
    thawed: asyncio.Event  # cleared while the host is frozen


class Port(Protocol):
    """One open interface."""

    interface: Interface  # as bound

    def open(self) -> None:
        """Begin to read."""

    def send(self, flow: Flow, data: bytes) -> None:
        """Carry out a Send; what fails is fed back as Unreachable."""

    def close_stream(self, flow: Flow) -> None:
        """Carry out a Close."""

    def ping(self, flow: Flow) -> None:
        """Carry out a Ping; a transport without pings does nothing."""

    def renew(self, interface: Interface, tls: Tls | None) -> None:
        """Take over what may change without a restart: certificates and origins."""

    def freeze(self) -> None:
        """Read nothing any more, the sockets stay open (SIGSTOP)."""

    def thaw(self) -> None:
        """Go on reading."""

    def cut(self, hosts: Collection[str]) -> None:
        """End all connections with peers at these IP addresses at once; nothing that waits goes out."""

    def kill(self) -> None:
        """Close all sockets at once (SIGKILL)."""

    async def stop(self) -> None:
        """Close all sockets; what was sent before goes out first."""

    def stats(self) -> PortStats: ...
