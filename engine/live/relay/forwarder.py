"""The table of ports as the forwarding thread keeps it: what both the native and the portable loop offer."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from engine.boundary import Address
from engine.live.relay.settings import PlaneSettings
from engine.live.relay.srtp import SrtpWay

MOST_BYTES: Final = 2_000
"""No path carries longer datagrams unfragmented, and no codec of calls makes them; such are dropped."""

MOST_SSRCS: Final = 16
"""Streams of one way that SRTP state is kept of; the oldest gives way, so that a peer can't fill memory."""

STRANGER_SLOTS: Final = 8
"""Sources share a port's allowance by slots, so that one that floods takes its own slot only."""


MOST_HELD: Final = 3
"""Datagrams of DTLS that wait at a port for their source to be named as its peer."""


class Queue(IntEnum):
    """Who takes the packets that aren't simply forwarded."""

    ENGINE = 0
    HANDSHAKES = 1
    CODECS = 2


class Kind(IntEnum):
    """How a packet of ours leaves a port."""

    PLAIN = 0  # as it is: STUN and DTLS
    RTP = 1  # secured as the port is
    RTCP = 2


class Exceptional(NamedTuple):
    """A packet for one of the queues."""

    number: int  # of the port, as ``add`` gave it
    source: Address
    data: bytes
    proven: bool


class Hop(NamedTuple):
    """Out of the port of this number, to an address."""

    number: int
    target: Address


class Route(NamedTuple):
    """A rule in terms of numbers.

    ``payloads`` maps payload types to the outgoing one and the clock that jitter is counted in. ``detour``: all of
    the port goes to the codecs.
    """

    sources: tuple[Address, ...]
    rtp: Hop | None
    rtcp: Hop | None
    payloads: Mapping[int, tuple[int, int]] | None
    detour: bool


class Security(NamedTuple):
    """How a port is secured: ``locked`` where keys are awaited and nothing may pass. DTLS is heard of one peer."""

    locked: bool = False
    receive: SrtpWay | None = None
    send: SrtpWay | None = None
    peer: Address | None = None


OPEN: Final = Security()


class Counters(NamedTuple):
    """What came to one port since they were last taken."""

    packets: int
    octets: int
    lost: int
    jitter_ms: float
    round_trip_ms: float | None
    silent_s: float
    dropped: int
    overflowed: int  # datagrams that the kernel had no room for


class Totals(NamedTuple):
    """Of all ports, since the start."""

    received: int
    forwarded: int
    dropped: int  # for want of belief, proof, keys or a payload rule
    shed: int  # for being late, under overload
    unsent: int  # the kernel took them not
    unqueued: int  # exceptional ones beyond allowance or room


class Forwarder(Protocol):
    """One thread that forwards. Everything here may be called from any thread; numbers are never used again."""

    def add(self, sock: socket.socket) -> int:
        """Take over a bound socket."""

    def remove(self, number: int) -> Counters:
        """Close it; what it still counted."""

    def secure(self, number: int, security: Security) -> None: ...

    def route(self, number: int, route: Route | None) -> None: ...

    def send(self, number: int, target: Address, data: bytes, kind: Kind) -> bool:
        """Send a packet of ours; whether the kernel took it."""

    def take_counters(self, number: int) -> Counters: ...

    def totals(self) -> Totals: ...

    def fileno(self) -> int:
        """Readable while packets wait for the engine."""

    def take(self, most: int) -> list[Exceptional]:
        """Packets for the engine, without waiting."""

    def wait(self, queue: Queue, timeout_s: float) -> list[Exceptional]:
        """Packets for one of the other queues, empty after the time-out, a ``wake``, or the end."""

    def wake(self, queue: Queue) -> None:
        """Let ``wait`` return."""

    def stop(self) -> None:
        """End the thread and close all."""


def open_forwarder(settings: PlaneSettings) -> Forwarder:
    """The native loop where it was built, unless the settings say otherwise; running.

    Raises
    ------
    ImportError
        Where the settings insist on the native loop, and it is not there.
    LiveError
        Where it was built from other sources than these.
    """
    if settings.native is not False:
        try:
            from engine.live.relay.native_forwarder import NativeForwarder

            return NativeForwarder(settings)
        except ImportError:
            if settings.native:
                raise
    from engine.live.relay.portable import PortableForwarder

    return PortableForwarder(settings)
