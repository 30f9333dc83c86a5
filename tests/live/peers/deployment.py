"""A live edge before one modelled FreeSWITCH, on a loopback network of their own, for a real client to talk to."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from engine.boundary import (
    AgentOrder,
    Datagram,
    Effect,
    Input,
    Interface,
    Machine,
    Note,
    Send,
    StreamData,
    Transport,
)
from engine.live import LiveHost
from lab.certificates import make_certificate
from lab.rehearsal.addresses import onto_loopback
from sim.build import parts
from sim.host import Birth
from topologies import parse

PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 5066, "wss": 7443}
USER, PASSWORD = "1000", "1234"


class Step(NamedTuple):
    """A message on one of a machine's interfaces: ``in`` or ``out``, its method or status, and its Contact."""

    interface: str
    way: str
    what: str
    contact: str = ""


class Tap:
    """A machine whose messages are written down."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.steps: list[Step] = []
        self.deadline = machine.deadline

    def start(self, now: float) -> Sequence[Effect]:
        return self._sent(self._machine.start(now))

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if isinstance(event, (Datagram, StreamData)):
            self._write(event.flow.interface, "in", event.data)
        return self._sent(self._machine.receive(event, now))

    def tick(self, now: float) -> Sequence[Effect]:
        return self._sent(self._machine.tick(now))

    def _sent(self, effects: Sequence[Effect]) -> Sequence[Effect]:
        for effect in effects:
            if isinstance(effect, Send):
                self._write(effect.flow.interface, "out", effect.data)
        return effects

    def _write(self, interface: str, way: str, data: bytes) -> None:
        words = data.split(b"\r\n", 1)[0].split(b" ")
        if len(words) >= 3:  # else a keep-alive
            contact = re.search(rb"\r\nContact: ([^\r]*)", data)
            what = words[1] if words[0] == b"SIP/2.0" else words[0]
            self.steps.append(Step(interface, way, what.decode(), contact[1].decode() if contact else ""))


class Deployment:
    """What its hosts have told, and the orders that a test gives."""

    def __init__(self, folder: Path, transport: Transport, registrar: Mapping[str, Any] | None = None) -> None:
        webrtc = str(transport in ("ws", "wss")).lower()
        topology = onto_loopback(
            parse(
                f"""
edges:
  edge:
    interfaces:
      agents: {{host: 127.0.0.1, transport: {transport}, port: {PORTS[transport]}}}
      inside: {{host: 127.0.0.2, port: 5060}}
    registrar: {json.dumps(dict(registrar or {}))}
nodes:
  FS1: {{host: 127.0.1.1, interface: inside, resources: pstn=10, model: {{media_webrtc: {webrtc}}}}}
clients:
  client: {{host: 127.0.2.1}}
""".encode()
            ),
            private=True,
        )
        self.notes: dict[str, list[Note]] = {}
        self.taps: dict[str, Tap] = {}
        self._hosts: dict[str, LiveHost] = {}
        interface = topology.edges["edge"].interfaces["agents"]
        self.host, self.port, self.transport = interface.host, interface.port, transport
        self.client_host = topology.clients["client"].host
        self.files = make_certificate(folder / "tls", [self.host])
        for part in parts(topology, None):
            if part.role != "client":
                self._host(part.place, part.make(Birth(0, False), Random()), part.interfaces)

    def _host(self, place: str, machine: Machine, interfaces: Sequence[Interface]) -> None:
        told = self.notes[place] = []
        tap = self.taps[place] = Tap(machine)
        shown = [replace(each, tls=self.files.tls if each.secure else None) for each in interfaces]
        self._hosts[place] = LiveHost(tap, shown, on_note=lambda note, now: told.append(note))

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, transport: Transport, **more: Any) -> AsyncIterator[Deployment]:
        """Start node and edge, and end them."""
        self = cls(folder, transport, **more)
        try:
            for host in self._hosts.values():
                await host.start()
            yield self
        finally:
            for host in self._hosts.values():
                host.kill()

    def call(self, user: str = USER) -> None:
        """Have the node call a registered user."""
        self._hosts["FS1"].deliver(AgentOrder("originate", f"user/{user} &echo"))

    def hang_up(self) -> None:
        """Have the node end all its calls."""
        self._hosts["FS1"].deliver(AgentOrder("hupall"))

    def of(self, place: str, kind: type[Any]) -> list[Any]:
        """What a place has told of this kind."""
        return [note for note in self.notes[place] if isinstance(note, kind)]

    def passed(self, *words: str) -> list[str]:
        """Which of these the edge passed on the agents' side, such as ``out INVITE``; repeats are left out."""
        steps = [f"{step.way} {step.what}" for step in self.taps["edge"].steps if step.interface == "agents"]
        return list(dict.fromkeys(step for step in steps if step in words))

    def contacts(self, what: str) -> list[str]:
        """The Contacts of what came from agents with this method or status."""
        return [
            step.contact
            for step in self.taps["edge"].steps
            if (step.interface, step.way, step.what) == ("agents", "in", what)
        ]


class Relay:
    """A TCP relay before the edge, which can cut what it carries without a word."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, target: tuple[str, int]) -> AsyncIterator[Relay]:
        """Listen on ``port``."""
        self = cls(target)
        self._server = await asyncio.start_server(self._carry, target[0], 0)
        try:
            yield self
        finally:
            self._server.close()
            self.cut()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Reset all connections, on both sides."""
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        pair = {writer, far_writer}
        self._writers |= pair
        try:
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        except ConnectionError:
            pass
        finally:
            self._writers -= pair
            for each in pair:
                each.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()
