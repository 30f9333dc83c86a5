"""Small machines and helpers for the tests of the real host."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from engine.boundary import (
    NEVER,
    Datagram,
    Effect,
    Flow,
    Input,
    Interface,
    Note,
    Send,
    StreamData,
    Transport,
    Unreachable,
)
from engine.live import LiveHost, LiveSettings, run

HOST = "127.0.0.1"


class Recorder:
    """Remembers its inputs and orders nothing; the other machines are kinds of it."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.ticks: list[float] = []
        self.due = NEVER

    def start(self, now: float) -> Sequence[Effect]:
        return ()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        self.inputs.append(event)
        return self.answer(event, now)

    def answer(self, event: Input, now: float) -> Sequence[Effect]:
        return ()

    def tick(self, now: float) -> Sequence[Effect]:
        self.ticks.append(now)
        self.due = NEVER
        return ()

    def deadline(self) -> float:
        return self.due

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.inputs if isinstance(event, kind)]

    @property
    def unreachable(self) -> list[Unreachable]:
        return self.of(Unreachable)


class Echo(Recorder):
    """Sends back what comes."""

    def answer(self, event: Input, now: float) -> Sequence[Effect]:
        return (Send(event.flow, event.data),) if isinstance(event, (Datagram, StreamData)) else ()


class Sender(Recorder):
    """Carries out ``orders``, effects put there by the test, when it is told anything."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Effect] = []

    def answer(self, event: Input, now: float) -> Sequence[Effect]:
        orders, self.orders = self.orders, []
        return orders


class World:
    """One host under test, its machine and its notes."""

    def __init__(self, host: LiveHost, machine: Any, notes: list[Note]) -> None:
        self.host = host
        self.machine = machine
        self.notes = notes

    @property
    def address(self) -> tuple[str, int]:
        bound = self.host.interface("a")
        return bound.host, bound.port

    def order(self, *effects: Effect) -> None:
        """Let a Sender's machine order these effects now."""
        self.machine.orders += effects
        self.host.deliver(Datagram(Flow("test", ("", 0)), b""))

    def of(self, kind: type[Any]) -> list[Any]:
        return [note for note in self.notes if isinstance(note, kind)]


def interface(
    transport: Transport = "udp", host: str = HOST, port: int = 0, name: str = "a", **more: Any
) -> Interface:
    return Interface(name=name, transport=transport, host=host, port=port, **more)


async def started(
    machine: Any, *interfaces: Interface, settings: LiveSettings | None = None, notes: list[Note] | None = None
) -> World:
    told: list[Note] = [] if notes is None else notes
    host = LiveHost(
        machine, interfaces or (interface(),), on_note=lambda note, now: told.append(note), settings=settings
    )
    await host.start()
    return World(host, machine, told)


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]], *, fast: bool = True) -> None:
    """Run to the end; an exception that only reached the loop's handler fails the test as well."""
    unhandled: list[dict[str, Any]] = []

    async def guarded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
        async with asyncio.timeout(20):
            await scenario()

    run(guarded(), fast=fast)
    assert not unhandled


async def until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait for a condition, with a deadline."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError("the condition did not come true in time") from None


async def some_turns(turns: int = 5) -> None:
    """Let the loop see everything that is ready now."""
    for _ in range(turns):
        await asyncio.sleep(0.002)


@contextmanager
def udp_peer(host: str = HOST) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.setblocking(False)
        yield sock


async def receive(sock: socket.socket, size: int = 65_535) -> bytes:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        return await loop.sock_recv(sock, size)


def closed_port() -> int:
    """A UDP and TCP port of the loopback that nobody has just now, and that port 0 gives to nobody."""
    while True:
        port = random.randrange(20_000, 32_000)  # below the kernel's ephemeral ones
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind((HOST, port))
                tcp.bind((HOST, port))
            except OSError:
                continue
            return port
