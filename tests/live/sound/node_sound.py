"""The sound of a modelled FreeSWITCH on real sockets: it sends a tone into each leg, or joins two, and listens."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress

import numpy as np

from engine.boundary import Address
from tests.live.sound.descriptions import address_of
from tests.live.sound.tones import PACKET, Samples, from_pcmu, share, to_pcmu, tone

_HEARD_S = 1.0
_LOOP_S = 2.0  # a whole number of beats and of 50 Hz steps, so that the tone has no seam


class NodeLeg:
    """One leg: its socket, where the other side is, and the last second that came from it."""

    def __init__(self, host: str, port: int, hz: float | None) -> None:
        self.remote: Address | None = None
        self.joined: NodeLeg | None = None
        self.packets = 0
        self._heard: deque[bytes] = deque(maxlen=round(_HEARD_S * 50))
        self._sequence = 0
        self._speech = to_pcmu(tone(hz, _LOOP_S)) if hz is not None else b""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._receive)
        self._speaking = self._loop.create_task(self._speak()) if hz is not None else None

    def close(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def heard(self, hz: float) -> float:
        """Which part of the last second was this tone."""
        return share(self._samples(), hz)

    def forget(self) -> None:
        """Listen anew."""
        self._heard.clear()

    def _samples(self) -> Samples:
        return from_pcmu(b"".join(self._heard)) if self._heard else np.zeros(0)

    def _receive(self) -> None:
        while True:
            try:
                data = self._socket.recv(2_048)
            except OSError:  # nothing left, or an ICMP error of what was sent before
                return
            if len(data) < 12 or data[0] >> 6 != 2:
                continue
            if data[1] & 0x7F == 0:
                self.packets += 1
                self._heard.append(data[12:])
            if self.joined is not None:
                self.joined.send(data)

    def send(self, data: bytes) -> None:
        if self.remote is not None:
            with suppress(OSError):  # an ICMP error of what was sent before
                self._socket.sendto(data, self.remote)

    async def _speak(self) -> None:
        began = self._loop.time()
        while True:
            number = self._sequence
            self._sequence += 1
            at = number * PACKET % len(self._speech)
            header = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * PACKET, 0x5157)
            self.send(header + self._speech[at : at + PACKET])
            await asyncio.sleep(max(0.0, began + 0.02 * (number + 1) - self._loop.time()))


class NodeSound:
    """All legs of a node, by Call-ID. ``hz`` is what it says into legs that are not joined; None: nothing."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.hz: float | None = None
        self.joins = False
        self.legs: dict[bytes, NodeLeg] = {}
        self._offers: dict[bytes, Address] = {}

    def said(self, call_id: bytes, body: bytes) -> None:
        """The node sends a description: it listens there from now on."""
        address = address_of(body)
        if call_id in self.legs or address is None:
            return
        leg = self.legs[call_id] = NodeLeg(self._host, address[1], None if self.joins else self.hz)
        leg.remote = self._offers.pop(call_id, None)
        if self.joins and len(self.legs) == 2:
            one, two = self.legs.values()
            one.joined, two.joined = two, one

    def heard(self, call_id: bytes, body: bytes) -> None:
        """The node is sent one."""
        address = address_of(body)
        if call_id in self.legs:
            self.legs[call_id].remote = address
        elif address is not None:
            self._offers[call_id] = address

    def close(self) -> None:
        for leg in self.legs.values():
            leg.close()
        self.legs.clear()
        self._offers.clear()
