"""A data plane between two phones, each on a loopback address of its own."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TypeVar

import pytest

from engine.boundary import Address
from engine.live.notes import MediaLost
from engine.live.relay.certificate import Certificate, new_certificate
from engine.live.relay.plane import MediaPlane
from engine.live.relay.settings import PlaneSettings
from engine.media.codecs import PayloadRule
from engine.media.rules import AddRule, BindPorts, MediaInput, Port, Rule, Way

LOOPS = [
    pytest.param(
        True, id="native", marks=pytest.mark.skipif(not find_spec("engine.live.relay._native"), reason="not built")
    ),
    pytest.param(False, id="portable"),
]

PATIENCE_S = 10.0
NEAR, FAR = Port("near", 20_000), Port("far", 30_000)
PCMU = {0: PayloadRule(0, 8_000, 8_000)}

T = TypeVar("T")

_random = random.Random()
_certificate = new_certificate()


def loopback_host() -> str:
    """One of sixteen million: nobody else's."""
    return f"127.{_random.randint(1, 254)}.{_random.randint(0, 254)}.{_random.randint(1, 254)}"


def second(port: Port) -> Port:
    """RTCP's of a pair."""
    return port._replace(number=port.number + 1)


class Phone:
    """A peer: one UDP socket."""

    def __init__(self, host: str | None = None) -> None:
        host = host or loopback_host()
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((host, 0))
        self.address: Address = self.sock.getsockname()[:2]
        self.sequence = 1_000
        self.stamp = 160_000
        self.ssrc = 0x1234_5678

    def rtp(
        self,
        payload: bytes = b"\x55" * 160,
        *,
        number: int = 0,
        marker: bool = False,
        sequence: int | None = None,
        stamp: int | None = None,
    ) -> bytes:
        """The next packet of the stream."""
        self.sequence = self.sequence + 1 if sequence is None else sequence
        self.stamp = self.stamp + 160 if stamp is None else stamp
        return (
            bytes((0x80, number | marker << 7))
            + (self.sequence & 0xFFFF).to_bytes(2)
            + (self.stamp & 0xFFFF_FFFF).to_bytes(4)
            + self.ssrc.to_bytes(4)
            + payload
        )

    def send(self, data: bytes, target: Address) -> None:
        self.sock.sendto(data, target)

    async def receive(self) -> bytes:
        data, _ = await self.receive_from()
        return data

    async def receive_from(self) -> tuple[bytes, Address]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            data, source = await loop.sock_recvfrom(self.sock, 4_096)
        return data, source[:2]

    def waiting(self) -> list[bytes]:
        """All that has come by now."""
        found = []
        try:
            while True:
                found.append(self.sock.recv(4_096))
        except BlockingIOError:
            return found


class Desk:
    """The plane, what it told, and the two phones."""

    def __init__(self, plane: MediaPlane, hosts: Mapping[str, str], inputs: list[MediaInput]) -> None:
        self.plane = plane
        self.hosts = hosts
        self.inputs = inputs
        self.lost: list[MediaLost] = []
        self.near = Phone()
        self.far = Phone()

    @property
    def certificate(self) -> Certificate:
        """The plane's."""
        return _certificate

    def address(self, port: Port) -> Address:
        return (self.hosts[port.interface], port.number)

    def bind(self) -> None:
        self.plane.carry_out(BindPorts(NEAR))
        self.plane.carry_out(BindPorts(FAR))

    def rule(
        self,
        port: Port,
        source: Phone,
        target: Phone | None,
        payloads: Mapping[int, PayloadRule] | None = PCMU,
    ) -> Rule:
        """All of a phone's packets go to the other, RTCP in company."""
        other = NEAR if port.interface == "far" else FAR
        way = None if target is None else Way(other, target.address)
        return Rule(frozenset((source.address,)), way, way, payloads, "call-1")

    def connect(self, payloads: Mapping[int, PayloadRule] | None = PCMU) -> None:
        """A call between the two phones, plain on both sides."""
        self.bind()
        self.plane.carry_out(AddRule(NEAR, self.rule(NEAR, self.near, self.far, payloads)))
        self.plane.carry_out(AddRule(FAR, self.rule(FAR, self.far, self.near, payloads)))

    def of(self, kind: type[T]) -> list[T]:
        """What was told of one kind."""
        return [event for event in self.inputs if isinstance(event, kind)]

    async def told(self, kind: type[T], number: int = 1) -> list[T]:
        """Wait for so many of a kind."""
        await until(lambda: len(self.of(kind)) >= number)
        return self.of(kind)

    async def flood(self, phone: Phone, port: Port, packets: list[bytes]) -> None:
        """Send many, no more at a time than the kernel has room for."""
        before = self.plane.stats().received
        for sent, data in enumerate(packets, start=1):
            phone.send(data, self.address(port))
            if sent % 50 == 0 or sent == len(packets):
                await until(lambda: self.plane.stats().received >= before + sent)  # noqa: B023 - used at once

    async def passes(self) -> None:
        """Wait until all that was sent to the near port before has been dealt with."""
        witness = self.near.rtp()
        self.near.send(witness, self.address(NEAR))
        while await self.far.receive() != witness:
            pass


@contextmanager
def opened(settings: PlaneSettings, far_host: str | None = None) -> Iterator[Desk]:
    """A desk in the running loop."""
    hosts = {"near": loopback_host(), "far": far_host or loopback_host()}
    inputs: list[MediaInput] = []
    plane = MediaPlane(hosts, inputs.append, certificate=_certificate, settings=settings)
    desk = Desk(plane, hosts, inputs)
    plane.start(desk.lost.append)
    try:
        yield desk
    finally:
        plane.stop()
        desk.near.sock.close()
        desk.far.sock.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.002)
