"""What stands between places and changes addresses: NATs before clients, balancers before edges.

A NAT stands beside the places behind it, and a balancer beside its targets: the link between the two ends is the
whole way, and its faults hit what passes between them, whatever addresses it bears. Each NAT makes a *realm*, the
addresses behind it; one behind another lies in that other's realm; None is the public one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

from engine.boundary import Address, Level, Note, Transport
from sim.balancer import Balancer
from sim.nat import Dropped, Nat, Protocol, Segment

if TYPE_CHECKING:
    from sim.network import Network


class Carried(NamedTuple):
    """Where a packet has come to, and with which addresses."""

    source: Address
    destination: Address


class Lost(NamedTuple):
    """A packet ends at this place. ``refused``: its sender is told."""

    place: str
    reason: str
    refused: bool


Step: TypeAlias = Carried | Lost


@dataclass(frozen=True, slots=True)
class TargetHealth(Note):
    """A balancer changed its mind about a target."""

    level: ClassVar[Level] = Level.WARNING
    target: str
    healthy: bool


class NatBox:
    """A NAT at its place in the network."""

    __slots__ = ("name", "nat", "outer")

    def __init__(self, name: str, nat: Nat, outer: NatBox | None) -> None:
        self.name = name
        self.nat = nat
        self.outer = outer  # the NAT that this one is behind


class BalancerBox:
    """A balancer at its place in the network."""

    __slots__ = ("balancer", "name", "transport")

    def __init__(self, name: str, transport: Transport, balancer: Balancer) -> None:
        self.name = name
        self.transport = transport
        self.balancer = balancer


class Middleboxes:
    """All of one network. The places behind NATs and the balancers' targets are named before the world runs."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._nats: dict[str, NatBox] = {}
        self._outside: dict[str, NatBox] = {}  # by a NAT's own outside addresses
        self._realms: dict[str, NatBox] = {}  # by address: the NAT that it is behind
        self._listeners: dict[tuple[Transport, Address], BalancerBox] = {}
        self._hosts: dict[str, BalancerBox] = {}  # by the balancers' own addresses
        self._targets: dict[tuple[Transport, Address], list[BalancerBox]] = {}

    # --- set-up -------------------------------------------------------------------------------------------

    def add_nat(self, name: str, nat: Nat, outer: NatBox | None = None) -> NatBox:
        """Put a NAT at a place of its own, behind ``outer`` where one is given; ValueError where it cannot be."""
        if name in self._nats:
            raise ValueError(f"there is already a NAT called {name} - choose another name")
        box = self._nats[name] = NatBox(name, nat, outer)
        for host in nat.addresses:
            self._network.addresses.settle(host, name)
            self._outside[host] = box
            if outer is not None:
                self._realms[host] = outer
        return box

    def put_behind(self, host: str, box: NatBox) -> None:
        """Let the places at this IP address be behind a NAT."""
        self._realms[host] = box

    def add_balancer(self, name: str, transport: Transport, balancer: Balancer) -> BalancerBox:
        """Put a balancer at a place of its own; it begins to check its targets. ValueError where it cannot be."""
        box = BalancerBox(name, transport, balancer)
        self._network.addresses.settle(balancer.listener[0], name)
        listener = (transport, balancer.listener)
        if listener in self._listeners or self._network.addresses.port(*listener):
            raise ValueError(f"{name}: {transport} {balancer.listener} is taken - change one of them")
        self._listeners[listener] = self._hosts[balancer.listener[0]] = box
        for target in balancer.targets:
            self._targets.setdefault((transport, target), []).append(box)
            self._network.later(balancer.settings.check_interval_s, self._check, box, target)
        return box

    def reboot(self, name: str) -> None:
        """Let a NAT with all devices of its name (``name/1``), or a balancer, forget; KeyError for others."""
        found: list[Nat | Balancer] = [box.nat for box in self._nats.values() if box.name.split("/")[0] == name]
        found += [box.balancer for box in self._listeners.values() if box.name == name]
        if not found:
            raise KeyError(name)
        for machine in found:
            machine.reboot()

    # --- packets ------------------------------------------------------------------------------------------

    def concern(self, transport: Transport, source: Address, destination: Address) -> bool:
        """Whether anything here has to do with packets from one address to another."""
        here, there = source[0], destination[0]
        return (
            here in self._realms
            or there in self._outside
            or there in self._realms
            or there in self._hosts  # a balancer's listener, or its own address to its targets
            or (transport, source) in self._targets
        )

    def listener(self, transport: Transport, address: Address) -> BalancerBox | None:
        """The balancer that has this address."""
        return self._listeners.get((transport, address))

    def outward(
        self,
        transport: Transport,
        source: Address,
        destination: Address,
        segment: Segment = "data",
        balancer: BalancerBox | None = None,
    ) -> Step:
        """From a sender as far as the realm in which its packet's destination lies, and to a balancer's target.

        ``balancer`` is the one that a connection came by: what it no longer knows goes no further.
        """
        now = self._network.env.now
        protocol = protocol_of(transport)
        realm = self._realms.get(source[0])
        for box in self._targets.get((transport, source), ()):
            answer = box.balancer.answer(source, destination, now, segment)
            if answer is not None:
                source, destination = answer
                break
        else:
            if balancer is not None and source in balancer.balancer.targets:
                return Lost(balancer.name, "no such flow", balancer.balancer.unknown(segment).refused)
        if (own := self._hosts.get(destination[0])) and (transport, destination) not in self._listeners:
            return Lost(own.name, "no such flow", own.balancer.unknown(segment).refused)
        while realm is not None and self._realms.get(destination[0]) is not realm:
            verdict = realm.nat.outbound(protocol, source, destination, now, segment)
            if isinstance(verdict, Dropped):
                return Lost(realm.name, verdict.reason, verdict.refused)
            source, destination = verdict.source, verdict.destination
            if verdict.inward:
                break
            realm = realm.outer
        if self._realms.get(destination[0]) is not realm:
            return Lost("", "no route to host", True)
        listener = self._listeners.get((transport, destination))
        if listener is None:
            return Carried(source, destination)
        forwarded = listener.balancer.forward(source, now, segment)
        if isinstance(forwarded, Dropped):
            return Lost(listener.name, forwarded.reason, forwarded.refused)
        return Carried(forwarded.source, forwarded.destination)

    def inward(
        self, transport: Transport, source: Address, destination: Address, segment: Segment = "data"
    ) -> Step:
        """From an outside address of a NAT to whom it means, through as many as there are."""
        now = self._network.env.now
        while (box := self._outside.get(destination[0])) is not None:
            verdict = box.nat.inbound(protocol_of(transport), source, destination, now, segment)
            if isinstance(verdict, Dropped):
                return Lost(box.name, verdict.reason, verdict.refused)
            destination = verdict.destination
        return Carried(source, destination)

    def carry(
        self,
        transport: Transport,
        source: Address,
        destination: Address,
        segment: Segment,
        balancer: BalancerBox | None,
    ) -> Step:
        """All the way at once."""
        step = self.outward(transport, source, destination, segment, balancer)
        return step if isinstance(step, Lost) else self.inward(transport, step.source, step.destination, segment)

    def leads_to(self, transport: Transport, source: Address, destination: Address) -> str:
        """The place at which a packet that has come so far will arrive, as things stand."""
        now = self._network.env.now
        while (box := self._outside.get(destination[0])) is not None:
            inside = box.nat.owner(protocol_of(transport), source, destination, now)
            if inside is None:
                return box.name
            destination = inside
        port = self._network.addresses.port(transport, destination)
        return port.host.place if port else self._network.addresses.place(destination[0])

    def error_reaches(self, source: Address, destination: Address) -> bool:
        """Whether an ICMP error about a datagram comes back through the NATs that it went out by."""
        now = self._network.env.now
        while (box := self._outside.get(source[0])) is not None:
            inside = box.nat.error_inbound("udp", source, destination, now)
            if inside is None:
                return False
            source = inside
        return True

    # --- health -------------------------------------------------------------------------------------------

    def _check(self, box: BalancerBox, target: Address) -> None:
        network, settings = self._network, box.balancer.settings
        port = network.addresses.port(box.transport, target)
        place = port.host.place if port else ""
        if network.direction(box.name, place).blocked or network.direction(place, box.name).blocked:
            network.later(settings.check_timeout_s, self._checked, box, target, False)
        else:
            # What answers is the kernel: a frozen process passes.
            self._checked(box, target, port is not None and port.host.alive)
        network.later(settings.check_interval_s, self._check, box, target)

    def _checked(self, box: BalancerBox, target: Address, well: bool) -> None:
        if box.balancer.checked(target, well):
            port = self._network.addresses.port(box.transport, target)
            place = port.host.place if port else f"{target[0]}:{target[1]}"
            self._network.trace.note(self._network.env.now, box.name, TargetHealth(place, well))


def protocol_of(transport: Transport) -> Protocol:
    """What a NAT takes a transport for."""
    return "udp" if transport == "udp" else "tcp"
