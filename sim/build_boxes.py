"""From a topology to the NATs and balancers of its world."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import count, islice
from typing import Final

from sim.balancer import BALANCERS, Balancer
from sim.middleboxes import NatBox, protocol_of
from sim.nat import PRESETS, Nat, NatSettings
from sim.part import Part
from sim.world import World
from topologies import Problem, Topology, TopologyError
from topologies.middleboxes import Nat as NatSection

SHARED_SPACE: Final = "100.64.0.1"
"""Where the addresses between a carrier's NAT and its customers' begin (RFC 6598)."""


def place_middleboxes(topology: Topology, cast: Sequence[Part], world: World) -> None:
    """Put the topology's NATs and balancers into a world that has its hosts.

    Raises
    ------
    TopologyError
        If settings make no sense together, or an address that is needed is taken.
    """
    nats = _Nats(topology, world)
    for part in cast:
        behind = topology.clients[part.name].behind if part.name in topology.clients else ()
        if behind:
            for interface in part.interfaces:
                with _blamed_on(topology, "nats", behind[0]):
                    nats.put_behind(interface.host, behind)
    for name in topology.balancers:
        with _blamed_on(topology, "balancers", name):
            _balancer(topology, name, world)


@contextmanager
def _blamed_on(topology: Topology, kind: str, name: str) -> Iterator[None]:
    """What the machines' settings refuse is the file's fault."""
    try:
        yield
    except ValueError as error:
        what, _, remedy = str(error).partition(" - " if " - " in str(error) else ": ")
        where = str(topology.source_path or topology.name or "topology")
        raise TopologyError(where, [Problem((kind, name), what, remedy)]) from error


class _Nats:
    """Makes devices as they are needed, each once."""

    def __init__(self, topology: Topology, world: World) -> None:
        self._topology = topology
        self._world = world
        self._devices: dict[
            tuple[str, str], NatBox
        ] = {}  # by NAT, and by address behind it where each has its own
        self._outsides = {name: _from(nat.host) for name, nat in topology.nats.items()}
        self._between = _from(SHARED_SPACE)

    def put_behind(self, host: str, chain: tuple[str, ...]) -> None:
        self._world.network.middleboxes.put_behind(host, self._device(chain, host))

    def _device(self, chain: tuple[str, ...], inside: str) -> NatBox:
        """The innermost device of a chain of NATs, for an address behind it."""
        name, *rest = chain
        section = self._topology.nats[name]
        key = (name, inside if section.is_each else "")
        if key not in self._devices:
            number = sum(1 for known, _ in self._devices if known == name) + 1
            self._devices[key] = self._make(name, number, section, tuple(rest), key[1])
        box = self._devices[key]
        return self._home(name, section, box, inside) if len(PRESETS[section.preset].stages) > 1 else box

    def _make(self, name: str, number: int, section: NatSection, rest: tuple[str, ...], inside: str) -> NatBox:
        addresses = list(islice(self._outsides[name], section.pool))
        outer = self._device(rest, addresses[0]) if rest else None
        place = f"{name}/{number}" if section.is_each else name
        *_, settings = PRESETS[section.preset].devices(self._world.streams.stream(f"nat {place} settings"))
        return self._add(place, dataclasses.replace(settings, **section.overrides), addresses, outer)

    def _home(self, name: str, section: NatSection, carrier: NatBox, inside: str) -> NatBox:
        """The gateway that a preset of two in a row has for each address behind it."""
        key = (f"{name}/home", inside)
        if key not in self._devices:
            number = sum(1 for known, _ in self._devices if known == key[0]) + 1
            place = f"{name}/home{number}"
            settings, *_ = PRESETS[section.preset].devices(self._world.streams.stream(f"nat {place} settings"))
            self._devices[key] = self._add(place, settings, [next(self._between)], carrier)
        return self._devices[key]

    def _add(self, place: str, settings: NatSettings, addresses: list[str], outer: NatBox | None) -> NatBox:
        nat = Nat(settings, addresses, self._world.streams.stream(f"nat {place}"))
        return self._world.network.middleboxes.add_nat(place, nat, outer)


def _balancer(topology: Topology, name: str, world: World) -> None:
    section = topology.balancers[name]
    network = world.network
    settings = dataclasses.replace(BALANCERS[section.preset].settings, **section.overrides)
    for listener in section.listeners.values():
        targets = []
        for edge in topology.edges_behind(name):
            interface = topology.interface(edge, listener.transport, listener.interface)
            port = network.addresses.port(listener.transport, (interface.public_host, interface.public_port))
            if port is not None:
                targets.append(port.address)
        balancer = Balancer(settings, protocol_of(listener.transport), (section.host, listener.port), targets)
        network.middleboxes.add_balancer(name, listener.transport, balancer)


def _from(host: str) -> Iterator[str]:
    """This address and those that follow it."""
    first = ip_address(host)
    return (str(first + offset) for offset in count())
