"""A live edge with a relay, before one modelled FreeSWITCH that speaks and hears, for real clients to meet at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Protocol

from engine.boundary import AgentOrder, Datagram, Effect, Input, Interface, Machine, Note, Send
from engine.edge import Edge
from engine.live import LiveHost
from engine.live.relay.certificate import new_certificate
from engine.live.relay.hosting import PlaneMaker, plane_for
from lab.certificates import make_certificate
from lab.rehearsal.addresses import onto_loopback
from sim.agents.notes import BindingStored
from sim.build import parts
from sim.host import Birth
from tests.live.sound.crowd import Beacons, Mirrors
from tests.live.sound.descriptions import described
from tests.live.sound.node_sound import NodeSound
from topologies import Topology, parse
from topologies.base import Table

PASSWORD = "1234"
NODE = "FS1"
INTERFACES = {"udp": "agents", "ws": "web", "wss": "secure"}

# Opus stays outside, so that the node's two legs have one codec: it joins them without transcoding.
TOPOLOGY = """
edges:
  edge:
    interfaces:
      agents: {host: 127.0.0.1, port: 5060}
      web: {host: 127.0.0.1, transport: ws, port: 5066}
      secure: {host: 127.0.0.1, transport: wss, port: 7443}
      inside: {host: 127.0.0.2, port: 5060}
    relay: RELAY
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=100, model: {auth: false}}
clients:
  client:
    {host: 127.0.2.1, kind: softphone, users: {first: CROWD, last: CROWD}, answer_delay_s: 0, ring_delay_s: 0}
"""
CROWD = "1019"  # the user that is called in many calls at once


class Ear:
    """The node, whose descriptions are listened to."""

    def __init__(self, machine: Machine, sound: Sound) -> None:
        self._machine = machine
        self._sound = sound
        self.deadline = machine.deadline

    def start(self, now: float) -> Sequence[Effect]:
        return self._said(self._machine.start(now))

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if isinstance(event, Datagram) and (found := described(event.data)):
            self._sound.heard(*found)
        return self._said(self._machine.receive(event, now))

    def tick(self, now: float) -> Sequence[Effect]:
        return self._said(self._machine.tick(now))

    def _said(self, effects: Sequence[Effect]) -> Sequence[Effect]:
        for effect in effects:
            if isinstance(effect, Send) and (found := described(effect.data)):
                self._sound.said(*found)
        return effects


def _moved(topology: Topology) -> Topology:
    """On a loopback network of its own; its relay stays as it is, for rtpengines are where they are."""
    as_given = topology.edges
    without = {name: edge.model_copy(update={"relay": None}) for name, edge in as_given.items()}
    moved = onto_loopback(topology.model_copy(update={"edges": Table(without)}), private=True)
    edges = {name: edge.model_copy(update={"relay": as_given[name].relay}) for name, edge in moved.edges.items()}
    return moved.model_copy(update={"edges": Table(edges)})


class Sound(Protocol):
    """What is told of the node's descriptions."""

    def said(self, call_id: bytes, body: bytes) -> None: ...

    def heard(self, call_id: bytes, body: bytes) -> None: ...

    def close(self) -> None: ...


class Stage:
    """Edge and node, their Notes, and the node's sound; ``crowd``: beacons in its place, and a modelled phone."""

    def __init__(self, folder: Path, relay: Any, *, crowd: bool = False) -> None:
        text = TOPOLOGY.replace("RELAY", json.dumps(relay)).replace("CROWD", CROWD).encode()
        topology = _moved(parse(text))
        edge = topology.edges["edge"].interfaces
        self.host = edge["agents"].host
        self.ports = {transport: edge[name].port for transport, name in INTERFACES.items()}
        self.client_host = topology.clients["client"].host
        self.files = make_certificate(folder / "tls", [self.host])
        self.sound = NodeSound(topology.nodes[NODE].host)
        self.beacons = Beacons(topology.nodes[NODE].host)
        self._mirrors = Mirrors(self.client_host)
        self.notes: dict[str, list[Note]] = {}
        self._hosts: dict[str, LiveHost] = {}
        self.edge: Edge
        certificate = new_certificate()
        fingerprint = bytes(certificate.fingerprint).decode()
        for part in parts(topology, None, fingerprints={"edge": fingerprint}):
            if part.role == "relay" or (part.role == "client" and not crowd):
                continue  # rtpengines are real here
            machine = part.make(Birth(0, False), Random())
            if isinstance(machine, Edge):
                self.edge = machine
            elif part.role == "node":
                machine = Ear(machine, self.beacons if crowd else self.sound)
            else:
                machine = Ear(machine, self._mirrors)
            media = None if part.relay is None else plane_for(part.relay, certificate)
            self._host(part.place, machine, part.interfaces, media)

    def _host(
        self, place: str, machine: Machine, interfaces: Sequence[Interface], media: PlaneMaker | None
    ) -> None:
        told = self.notes[place] = []
        shown = [replace(each, tls=self.files.tls if each.secure else None) for each in interfaces]
        self._hosts[place] = LiveHost(machine, shown, on_note=lambda note, now: told.append(note), media=media)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, relay: Any, *, crowd: bool = False) -> AsyncIterator[Stage]:
        """Start all, and end them."""
        self = cls(folder, relay, crowd=crowd)
        try:
            for host in self._hosts.values():
                await host.start()
            yield self
        finally:
            self.sound.close()
            self.beacons.close()
            self._mirrors.close()
            for host in self._hosts.values():
                host.kill()

    def call(self, user: str) -> None:
        """Have the node call a registered user."""
        self._hosts[NODE].deliver(AgentOrder("originate", f"user/{user} &echo"))

    def hang_up(self) -> None:
        """Have the node end all its calls."""
        self._hosts[NODE].deliver(AgentOrder("shutdown"))

    def kill_node(self) -> None:
        """End the node and its sound at once."""
        self._hosts[NODE].kill()
        self.sound.close()

    def registered(self, user: str) -> bool:
        """Whether the node knows where this user is."""
        return any(each.user == user for each in self.of(NODE, BindingStored))

    def of(self, place: str, kind: type[Any]) -> list[Any]:
        """What a place has told of this kind."""
        return [note for note in self.notes[place] if isinstance(note, kind)]
