"""A live edge before one modelled FreeSWITCH, on a loopback network of their own, for a real client to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from engine.boundary import AgentOrder, Interface, Note, Transport
from engine.live import LiveHost
from lab.certificates import CertificateFiles, make_certificate
from lab.rehearsal.addresses import onto_loopback
from sim.build import parts
from sim.host import Birth
from topologies import parse

PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 5066, "wss": 7443}
USER, PASSWORD = "1000", "1234"


class Deployment:
    """What its hosts have told, and the orders that a test gives."""

    def __init__(self, folder: Path, transport: Transport) -> None:
        topology = onto_loopback(
            parse(
                f"""
edges:
  edge:
    interfaces:
      agents: {{host: 127.0.0.1, transport: {transport}, port: {PORTS[transport]}}}
      inside: {{host: 127.0.0.2, port: 5060}}
clients: {{client: {{host: 127.0.2.1}}}}
nodes: {{FS1: {{host: 127.0.1.1, interface: inside, resources: pstn=10, model: {{force_expires_s: 60}}}}}}
""".encode()
            ),
            private=True,
        )
        self.notes: dict[str, list[Note]] = {}
        self._hosts: dict[str, LiveHost] = {}
        interface = topology.edges["edge"].interfaces["agents"]
        self.host, self.port, self.transport = interface.host, interface.port, transport
        self.client_host = topology.clients["client"].host
        self.files: CertificateFiles = make_certificate(folder / "tls", [self.host])
        for part in parts(topology, None):
            if part.role == "client":
                continue
            told = self.notes[part.place] = []
            self._hosts[part.place] = LiveHost(
                part.make(Birth(0, False), Random()),
                self._shown(part.interfaces),
                on_note=lambda note, now, told=told: told.append(note),  # type: ignore[misc]
            )

    def _shown(self, interfaces: Sequence[Interface]) -> list[Interface]:
        return [replace(each, tls=self.files.tls if each.secure else None) for each in interfaces]

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, transport: Transport) -> AsyncIterator[Deployment]:
        """Start node and edge, and end them."""
        self = cls(folder, transport)
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
        self._hosts["FS1"].deliver(AgentOrder("shutdown"))

    def of(self, place: str, kind: type[Any]) -> list[Any]:
        """What a place has told of this kind."""
        return [note for note in self.notes[place] if isinstance(note, kind)]
