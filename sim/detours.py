"""Datagrams that pass NATs or balancers: their addresses change on the way, and some go no further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import Address, Datagram, Flow, Unreachable
from sim.addresses import Port
from sim.middleboxes import Carried, Lost
from sim.trace import Departure, Fate, Wire

if TYPE_CHECKING:
    from sim.network import Network


class _Passage:
    """One datagram under way."""

    __slots__ = ("data", "dialled", "flow", "port", "sent", "step", "there")

    def __init__(
        self, port: Port, flow: Flow, dialled: Address, step: Carried, there: str, data: bytes, sent: Departure
    ) -> None:
        self.port = port
        self.flow = flow
        self.dialled = dialled  # the flow's peer, resolved
        self.step = step  # addresses on the link
        self.there = there
        self.data = data
        self.sent = sent


class Detours:
    """Carries the datagrams of one network that the plain way is not for."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._wires: dict[Port, dict[tuple[str, Address, Address, Address], Wire]] = {}

    def send(self, port: Port, flow: Flow, dialled: Address, data: bytes) -> None:
        """What a host sends to ``dialled``; NATs beside it are passed now, those at the far end on arrival."""
        network = self._network
        now = network.env.now
        sent = network.trace.departure(now)
        here = port.host.place
        step = network.middleboxes.outward(port.transport, port.address, dialled)
        if isinstance(step, Lost):
            self._told(Wire(here, step.place, port.address, dialled, port.transport), sent, data, "filtered")
            if step.refused:
                reason = "port unreachable" if step.place else step.reason
                network.later(0.0, network.tell, port.host, Unreachable(flow, reason))
            return
        there = network.middleboxes.leads_to(port.transport, *step)
        passage = _Passage(port, flow, dialled, step, there, data, sent)
        way = network.direction(here, there)
        if way.blocked:
            self._told(self._wire(passage, there, step), sent, data, "partitioned")
            return
        fate: Fate = "delivered"
        for delay_s in way.datagram(now):
            network.later(delay_s, self._arrive, passage, fate)
            fate = "duplicated"
        if fate == "delivered":
            self._told(self._wire(passage, there, step), sent, data, "lost")

    def _arrive(self, passage: _Passage, fate: Fate) -> None:
        network = self._network
        step = network.middleboxes.inward(passage.port.transport, *passage.step)
        if isinstance(step, Lost):
            self._told(self._wire(passage, step.place, passage.step), passage.sent, passage.data, "filtered")
            if step.refused:
                self._refuse(passage, "port unreachable")
            return
        receiver = network.addresses.port(passage.port.transport, step.destination)
        place = receiver.host.place if receiver else network.addresses.place(step.destination[0])
        if receiver is None or not receiver.host.alive:
            fate = "unreachable"
            self._refuse(passage, "port unreachable" if place else "no route to host")
        elif not receiver.host.admits(len(passage.data)):
            fate = "overflowed"
        self._told(self._wire(passage, place, step), passage.sent, passage.data, fate)
        if receiver is not None and fate in ("delivered", "duplicated"):
            receiver.host.receive(Datagram(Flow(receiver.name, step.source), passage.data))

    def _refuse(self, passage: _Passage, reason: str) -> None:
        """An ICMP error reaches the sender through the NATs that still know its packet."""
        network, host = self._network, passage.port.host
        if network.middleboxes.error_reaches(passage.step.source, passage.dialled):
            back = network.direction(passage.there, host.place)
            network.error(back, host, Unreachable(Flow(passage.port.name, passage.flow.peer), reason))

    def _wire(self, passage: _Passage, place: str, seen: Carried) -> Wire:
        wires = self._wires.setdefault(passage.port, {})
        key = (place, passage.dialled, *seen)
        wire = wires.get(key)
        if wire is None:
            if len(wires) >= 1000:  # a port that talks to many; each wire is quickly made again
                wires.clear()
            port = passage.port
            wire = wires[key] = Wire(
                port.host.place,
                place,
                port.address,
                passage.dialled,
                port.transport,
                (seen.source, seen.destination),
            )
        return wire

    def _told(self, wire: Wire, sent: Departure, data: bytes, fate: Fate) -> None:
        self._network.trace.message(self._network.env.now, sent, wire, data, fate)
