"""What goes over the real wires, told as the simulation tells it: each message once, when its fate is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.boundary import Address, Datagram, Effect, Flow, Input, Interface, Machine, Send, StreamData
from sim.part import Part
from sim.trace import Departure, Trace, Wire


class _Sent(NamedTuple):
    departure: Departure
    wire: Wire


class Wires:
    """Pairs what is sent with what arrives.

    Both ends are in this process, so a datagram that arrives is one that was sent; one that never does is told as
    lost at the end. What is sent to a process that does not run is told as unreachable at once.
    """

    def __init__(self, trace: Trace, parts: Sequence[Part], runs: Callable[[str], bool]) -> None:
        self._trace = trace
        self._runs = runs
        self._places: dict[Address, str] = {}
        self._hosts: dict[str, str] = {}
        for part in parts:
            for interface in part.interfaces:
                self._places[interface.host, interface.port] = part.place
                self._hosts.setdefault(interface.host, part.place)
        self._under_way: dict[tuple[Address, Address, bytes], deque[_Sent]] = {}

    def sent(self, time_s: float, place: str, interface: Interface, peer: Address, data: bytes) -> None:
        """A machine let go of a message."""
        source = (interface.host, interface.port)
        wire = Wire(place, self._place(peer), source, peer, interface.transport)
        departure = self._trace.departure(time_s)
        if interface.transport != "udp":  # what a stream takes, it delivers
            self._trace.message(time_s, departure, wire, data, "delivered")
        elif not self._runs(wire.to_place):
            self._trace.message(time_s, departure, wire, data, "unreachable")
        else:
            self._under_way.setdefault((source, peer, data), deque()).append(_Sent(departure, wire))

    def arrived(self, time_s: float, interface: Interface, peer: Address, data: bytes) -> None:
        """A datagram reached a machine."""
        key = (peer, (interface.host, interface.port), data)
        waiting = self._under_way.get(key)
        if not waiting:
            return  # from outside this rehearsal
        departure, wire = waiting.popleft()
        if not waiting:
            del self._under_way[key]
        self._trace.message(time_s, departure, wire, data, "delivered")

    def close(self) -> None:
        """Tell what never arrived."""
        for (_, _, data), waiting in self._under_way.items():
            for departure, wire in waiting:
                self._trace.message(departure[0], departure, wire, data, "lost")
        self._under_way.clear()

    def _place(self, address: Address) -> str:
        # The far end of an accepted connection has a port that no one chose.
        return self._places.get(address) or self._hosts.get(address[0], "")


class Tapped:
    """A machine whose messages are told to the wires, and whose inputs can be delayed (a slow process)."""

    def __init__(self, machine: Machine, part: Part, wires: Wires, clock_zero: float) -> None:
        self.machine = machine
        self.delay_s = 0.0
        self._place = part.place
        self._interfaces = {interface.name: interface for interface in part.interfaces}
        self._wires = wires
        self._zero = clock_zero
        self._held: deque[tuple[float, Input]] = deque()

    def start(self, now: float) -> Sequence[Effect]:
        """Start the machine."""
        return self._told(self.machine.start(now), now)

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Hand an input on, at once or later; in order."""
        if isinstance(event, (Datagram, StreamData)):
            self._wires.arrived(now - self._zero, self._own(event.flow), event.flow.peer, event.data)
        if self.delay_s or self._held:
            ready = max(now + self.delay_s, self._held[-1][0] if self._held else now)
            self._held.append((ready, event))
            return ()
        return self._told(self.machine.receive(event, now), now)

    def tick(self, now: float) -> Sequence[Effect]:
        """Hand on what has waited long enough, then let the machine's timers fire."""
        effects: list[Effect] = []
        while self._held and self._held[0][0] <= now:
            effects += self._told(self.machine.receive(self._held.popleft()[1], now), now)
        if self.machine.deadline() <= now:
            effects += self._told(self.machine.tick(now), now)
        return effects

    def deadline(self) -> float:
        """The machine's own, or when the next held input is due."""
        own = self.machine.deadline()
        return min(own, self._held[0][0]) if self._held else own

    def _told(self, effects: Sequence[Effect], now: float) -> Sequence[Effect]:
        for effect in effects:
            if isinstance(effect, Send):
                interface = self._own(effect.flow)
                self._wires.sent(now - self._zero, self._place, interface, effect.flow.peer, effect.data)
        return effects

    def _own(self, flow: Flow) -> Interface:
        return self._interfaces[flow.interface]
