"""The simulated network: datagrams between places, ICMP, partitions; ``sim.connections`` adds TCP.

Packets travel as bare SimPy events with a callback, not as processes: an event costs a microsecond, a process ten.
What happens to a packet is decided when it is sent; partitions and other settings don't touch what is under way.
Packets that pass NATs or balancers take ``sim.detours``; the others don't pay for them.
A datagram for a port that no process has open comes back to its sender as ``Unreachable``, after the way there and
back; like any packet, the ICMP message can get lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import simpy
from simpy.events import Event

from engine.boundary import Address, Datagram, Flow, Interface, Unreachable
from sim.addresses import Addresses, Port, Receiver
from sim.connections import Connections
from sim.detours import Detours
from sim.links import Direction, Link
from sim.middleboxes import Middleboxes
from sim.random_streams import RandomStreams
from sim.trace import Departure, Fate, Trace, Wire

if TYPE_CHECKING:
    from sim.media import MediaPlane

_Callbacks: TypeAlias = "list[Callable[[Any], None]]"


def _lan(_place: str, _other: str) -> Link:
    return Link()


LOOPBACK = Link(latency_ms=0.01)
"""Between two interfaces of one place."""


class _Packet(Event):
    """A datagram under way. SimPy asks no more of an event than its callbacks and that it did not fail, so
    ``Event.__init__``, which would make a list of callbacks for each packet, is left out: all share one."""

    _ok = True
    _value = None

    def __init__(self, callbacks: _Callbacks, route: _Route, data: bytes, sent: Departure, fate: Fate) -> None:
        self.callbacks = callbacks
        self.route = route
        self.data = data
        self.sent = sent
        self.fate: Fate = fate


class _Call(Event):
    """A function to be called later."""

    _ok = True
    _value = None

    def __init__(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.callbacks = [self._run]
        self.function = function
        self.arguments = arguments

    def _run(self, _event: Event) -> None:
        self.function(*self.arguments)


class _Route:
    """Everything about datagrams from one port to one peer that is the same for each packet."""

    __slots__ = ("back", "flow", "icmp", "receiver", "sender", "way", "wire")

    def __init__(
        self, sender: Port, receiver: Port | None, flow_back: Flow, wire: Wire, way: Direction, back: Direction
    ):
        self.sender = sender.host
        self.receiver = receiver.host if receiver else None
        self.flow = Flow(receiver.name if receiver else "", sender.address)
        self.icmp = flow_back
        self.wire = wire
        self.way = way
        self.back = back


class Network:
    """Places, the links between them, and what is under way."""

    def __init__(
        self,
        env: simpy.Environment,
        trace: Trace,
        streams: RandomStreams,
        links: Callable[[str, str], Link] | None = None,
    ) -> None:
        self.env = env
        self.trace = trace
        self.addresses = Addresses()
        self._streams = streams
        self._links_default = links or _lan
        self._links: dict[tuple[str, str], Link] = {}
        self._directions: dict[tuple[str, str], Direction] = {}
        self._partitioned: set[tuple[str, str]] = set()
        self._unplugged: set[str] = set()
        self._routes: dict[tuple[Port, Address], _Route] = {}
        self._callbacks: _Callbacks = [self._arrive]
        self.middleboxes = Middleboxes(self)
        self.media: MediaPlane | None = None  # set where anyone wants to know who hears whom
        self._detours = Detours(self)
        self._connections = Connections(self)

    # --- set-up -------------------------------------------------------------------------------------------

    def bind(self, host: Receiver, interfaces: Iterable[Interface]) -> dict[str, Port]:
        """Bind a host's interfaces; raises ValueError where one cannot be."""
        return self.addresses.bind(host, interfaces)

    def link(self, place: str, other: str, link: Link) -> None:
        """Set both directions between two places."""
        for pair in ((place, other), (other, place)):
            self._links[pair] = link
            if pair in self._directions:
                self._directions[pair].link = link

    def settings(self, from_place: str, to_place: str) -> Link:
        """The link as it was set up, whatever faults have done to it since."""
        if from_place == to_place:
            return LOOPBACK
        return self._links.get((from_place, to_place)) or self._links_default(from_place, to_place)

    def direction(self, from_place: str, to_place: str) -> Direction:
        """One direction of the link between two places, as it is now."""
        pair = (from_place, to_place)
        direction = self._directions.get(pair)
        if direction is None:
            rng = self._streams.stream(f"link {from_place}>{to_place}")
            direction = self._directions[pair] = Direction(self.settings(*pair), rng)
            direction.blocked = not self._unplugged.isdisjoint(pair)
        return direction

    def block(self, from_place: str, to_place: str) -> None:
        """Partition: nothing sent from now on passes in this direction."""
        self._partitioned.add((from_place, to_place))
        self.direction(from_place, to_place).blocked = True

    def heal(self, from_place: str, to_place: str) -> None:
        """End a partition and every change of the link's settings; held-up segments of streams go on."""
        direction = self.direction(from_place, to_place)
        direction.link = self.settings(from_place, to_place)
        self._partitioned.discard((from_place, to_place))
        self._open(from_place, to_place)

    def unplug(self, place: str) -> None:
        """Nothing leaves or reaches this place."""
        self._unplugged.add(place)
        for pair, direction in self._directions.items():
            if place in pair:
                direction.blocked = True

    def plug(self, place: str) -> None:
        """It is in the network again; partitions stay."""
        self._unplugged.discard(place)
        for pair in list(self._directions):
            if place in pair:
                self._open(*pair)

    def move(self, ports: Iterable[Port], host: str) -> None:
        """Give ports of one host another IP address.

        Connections over the old one are dead, which only this host is told; and what is still sent there vanishes.
        """
        for port in ports:
            self._connections.abandon(port)
            self.addresses.move(port, host)
            stale = [key for key, route in self._routes.items() if port is key[0] or route.receiver is port.host]
            for key in stale:
                del self._routes[key]

    def _open(self, from_place: str, to_place: str) -> None:
        """Let pass what nothing stops any more."""
        pair = (from_place, to_place)
        if pair not in self._partitioned and self._unplugged.isdisjoint(pair):
            direction = self.direction(from_place, to_place)
            direction.blocked = False
            self._connections.resume(direction)

    # --- traffic ------------------------------------------------------------------------------------------

    def later(self, delay_s: float, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function after ``delay_s``."""
        self.env.schedule(_Call(function, arguments), delay=delay_s)

    def send(self, port: Port, flow: Flow, data: bytes) -> None:
        """Carry out a machine's Send on one of its host's ports."""
        if not port.datagram:
            self._connections.send(port, flow, data)
            return
        route = self._routes.get((port, flow.peer)) or self._route(port, flow, data)
        if route is None:
            return
        env = self.env
        now = env.now
        way = route.way
        sent = self.trace.departure(now)
        if way.blocked:
            self.trace.message(now, sent, route.wire, data, "partitioned")
            return
        fate: Fate = "delivered"
        for delay_s in way.datagram(now):
            env.schedule(_Packet(self._callbacks, route, data, sent, fate), delay=delay_s)
            fate = "duplicated"
        if fate == "delivered":
            self.trace.message(now, sent, route.wire, data, "lost")

    def close(self, port: Port, flow: Flow) -> None:
        """Carry out a machine's Close."""
        self._connections.close(port, flow.stream)

    def ping(self, port: Port, flow: Flow) -> None:
        """Carry out a machine's Ping."""
        self._connections.ping(port, flow.stream)

    def cut(self, place: str, other: str, *, silently: bool = False) -> None:
        """End the connections between two places; silently: neither end learns of it but by waiting."""
        self._connections.cut(place, other, silently=silently)

    def died(self, host: Receiver) -> None:
        """The process at this host is gone, and with it its connections."""
        self._connections.drop(host)
        if self.media is not None:
            self.media.died(host.place)

    def _arrive(self, packet: _Packet) -> None:
        route = packet.route
        host = route.receiver
        now = self.env.now
        if host is None and self.addresses.deserted(route.wire.destination):
            self.trace.message(now, packet.sent, route.wire, packet.data, "lost")
        elif host is None or not host.alive:
            self.trace.message(now, packet.sent, route.wire, packet.data, "unreachable")
            reason = "port unreachable" if route.wire.to_place else "no route to host"
            self.error(route.back, route.sender, Unreachable(route.icmp, reason))
        elif host.admits(len(packet.data)):
            self.trace.message(now, packet.sent, route.wire, packet.data, packet.fate)
            host.receive(Datagram(route.flow, packet.data))
        else:
            self.trace.message(now, packet.sent, route.wire, packet.data, "overflowed")

    def error(self, back: Direction, sender: Receiver, error: Unreachable) -> None:
        """Let an ICMP error go back to whom it concerns."""
        if not back.blocked:
            for delay_s in back.datagram(self.env.now):
                self.later(delay_s, self.tell, sender, error)

    def tell(self, host: Receiver, event: Unreachable) -> None:
        """The kernel of a host tells its process, if there is one."""
        if host.alive:
            host.receive(event)

    def _route(self, port: Port, flow: Flow, data: bytes) -> _Route | None:
        """The route of this packet and all like it; None where it has gone another way."""
        address = self.addresses.resolve(flow.peer)
        if address is None:
            self.later(0.0, self.tell, port.host, Unreachable(flow, f"unknown name {flow.peer[0]}"))
            return None
        if self.middleboxes.concern(port.transport, port.address, address):
            self._detours.send(port, flow, address, data)
            return None
        receiver = self.addresses.port(port.transport, address)
        here = port.host.place
        there = receiver.host.place if receiver else self.addresses.place(address[0])
        wire = Wire(here, there, port.address, address, port.transport)
        route = _Route(
            port,
            receiver,
            Flow(port.name, flow.peer),
            wire,
            self.direction(here, there),
            self.direction(there, here),
        )
        if receiver is not None:  # others may be bound later, and strangers may name any number of them
            self._routes[port, flow.peer] = route
        return route
