"""The native loop, which needs neither the interpreter nor its lock to forward (see native/)."""

from __future__ import annotations

import socket
import struct
from typing import Final

from engine.boundary import Address
from engine.live.errors import LiveError
from engine.live.relay import _native
from engine.live.relay.forwarder import Counters, Exceptional, Kind, Queue, Route, Security, Totals
from engine.live.relay.settings import PlaneSettings
from engine.live.relay.srtp import native_functions

_INTERFACE: Final = 1  # what native/table.h has
_DROPPED: Final = 0xFF
_PAYLOAD_TYPES: Final = 128


class NativeForwarder:
    """See `Forwarder`."""

    def __init__(self, settings: PlaneSettings) -> None:
        built = getattr(_native, "INTERFACE", 0)
        if built != _INTERFACE:
            raise LiveError(
                f"{_native.__file__} was built from other sources (interface {built}, here {_INTERFACE})"
                " - install siptwin again, from a clone by: make test"
            )
        self._native = _native.Forwarder(
            settings.gather_s,
            settings.late_s,
            settings.niceness,
            settings.events,
            settings.stranger_packets_per_s,
            *native_functions(),
        )
        self._securities: dict[int, Security] = {}  # what the loop points at has to live

    def add(self, sock: socket.socket) -> int:
        number = self._native.add(sock.fileno())
        sock.detach()
        return number

    def remove(self, number: int) -> Counters:
        counters = Counters(*self._native.remove(number))
        self._securities.pop(number, None)
        return counters

    def secure(self, number: int, security: Security) -> None:
        locked, receive, send, peer = security
        self._native.secure(number, locked, receive.address if receive else 0, send.address if send else 0, peer)
        self._securities[number] = security

    def route(self, number: int, route: Route | None) -> None:
        if route is None:
            self._native.unroute(number)
            return
        payloads = None
        if route.payloads is not None:
            table = [route.payloads.get(number, (_DROPPED, 0)) for number in range(_PAYLOAD_TYPES)]
            outgoing, clocks = zip(*table, strict=True)
            payloads = (bytes(outgoing), struct.pack(f"={_PAYLOAD_TYPES}I", *clocks))
        self._native.route(number, route.sources, route.rtp, route.rtcp, payloads, route.detour)

    def send(self, number: int, target: Address, data: bytes, kind: Kind) -> bool:
        return self._native.send(number, target, data, kind)

    def take_counters(self, number: int) -> Counters:
        return Counters(*self._native.counters(number))

    def totals(self) -> Totals:
        return Totals(*self._native.totals())

    def fileno(self) -> int:
        return self._native.fileno()

    def take(self, most: int) -> list[Exceptional]:
        return [Exceptional(*event) for event in self._native.take(most)]

    def wait(self, queue: Queue, timeout_s: float) -> list[Exceptional]:
        return [Exceptional(*event) for event in self._native.wait(queue, timeout_s)]

    def wake(self, queue: Queue) -> None:
        self._native.wake(queue)

    def stop(self) -> None:
        self._native.stop()
        self._securities.clear()
