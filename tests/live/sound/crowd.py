"""Many calls at once between the modelled node and one modelled phone: each has a beacon of its own, which the
phone sends back, so that both ways of every call are proven by content."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

from engine.boundary import Address
from tests.live.sound.descriptions import address_of

_EVERY_S = 0.2
_STAMPS = 35  # SO_TIMESTAMPNS of Linux


class Beacon:
    """The node's end of one call."""

    def __init__(self, number: int, host: str, port: int) -> None:
        self.remote: Address | None = None
        self.back_at = 0.0  # when it last came back, by the kernel's word and wall clock
        self.longest_gap_s = 0.0
        self._payload = b"call %6d" % number * 14
        self._loop = asyncio.get_running_loop()
        self._socket = _bound(host, port)
        self._socket.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        self._loop.add_reader(self._socket, self._receive)
        self._sending = self._loop.create_task(self._send())

    def _receive(self) -> None:
        with suppress(OSError):
            while True:
                data, stamps, *_ = self._socket.recvmsg(2_048, 64)
                if data[12:] == self._payload and stamps:
                    before, self.back_at = self.back_at, _seconds(stamps[0][2])
                    if before:
                        self.longest_gap_s = max(self.longest_gap_s, self.back_at - before)

    async def _send(self) -> None:
        number = 0
        while True:
            number += 1
            if self.remote is not None:
                header = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 1_600, 0xBEAC)
                with suppress(OSError):
                    self._socket.sendto(header + self._payload, self.remote)
            await asyncio.sleep(_EVERY_S)

    def close(self) -> None:
        self._sending.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()


class Beacons:
    """All calls of the node, by Call-ID."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.calls: dict[bytes, Beacon] = {}
        self._offers: dict[bytes, Address] = {}

    def said(self, call_id: bytes, body: bytes) -> None:
        """The node sends a description."""
        address = address_of(body)
        if call_id not in self.calls and address is not None:
            self.calls[call_id] = Beacon(len(self.calls), self._host, address[1])

    def heard(self, call_id: bytes, body: bytes) -> None:
        """The node is sent one."""
        if call_id in self.calls:
            self.calls[call_id].remote = address_of(body)

    def measure(self) -> None:
        """Forget the gaps so far: another time begins."""
        for beacon in self.calls.values():
            beacon.longest_gap_s = 0.0

    def longest_gap_s(self) -> float:
        """Of all calls, between two packets that came back: as they arrived, not as they were read."""
        return max(beacon.longest_gap_s for beacon in self.calls.values())

    def back_since(self, when: float) -> int:
        """How many calls have had their beacon back since then, by the wall clock."""
        return sum(beacon.back_at > when for beacon in self.calls.values())

    def close(self) -> None:
        for beacon in self.calls.values():
            beacon.close()
        self.calls.clear()


class Mirrors:
    """The phone's sockets: each sends back what comes."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._sockets: dict[int, socket.socket] = {}
        self._loop = asyncio.get_running_loop()

    def said(self, call_id: bytes, body: bytes) -> None:
        """The phone sends a description."""
        address = address_of(body)
        if address is not None and address[1] not in self._sockets:
            mirror = self._sockets[address[1]] = _bound(self._host, address[1])
            self._loop.add_reader(mirror, self._receive, mirror)

    def heard(self, call_id: bytes, body: bytes) -> None:
        """It is sent one; what it answers goes where packets come from."""

    def _receive(self, mirror: socket.socket) -> None:
        with suppress(OSError):
            while True:
                mirror.sendto(*mirror.recvfrom(2_048))

    def close(self) -> None:
        for mirror in self._sockets.values():
            self._loop.remove_reader(mirror)
            mirror.close()
        self._sockets.clear()


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((host, port))
    bound.setblocking(False)
    return bound


def _seconds(stamp: bytes) -> float:
    """A timespec of the kernel."""
    seconds, nanoseconds = struct.unpack("@ll", stamp)
    return float(seconds + nanoseconds / 1e9)
