"""A bench for machines: virtual time, and wires that carry datagrams with a fixed delay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import TypeVar

from engine.boundary import (
    NEVER,
    Address,
    Datagram,
    Effect,
    Flow,
    Input,
    Interface,
    Machine,
    Note,
    Send,
    Unreachable,
)

N = TypeVar("N", bound=Note)


class Bench:
    """Machines by address. What is sent to no one is kept in ``strays``, and refused by ICMP if asked for."""

    def __init__(self, delay_s: float = 0.001, *, icmp: bool = False) -> None:
        self.now = 0.0
        self.notes: list[tuple[float, Note]] = []
        self.sent: list[tuple[float, Address, Address, bytes]] = []
        self.strays: list[tuple[float, Address, Address, bytes]] = []
        self.lose: Callable[[bytes], bool] = lambda data: False
        self.record = True
        self._delay_s = delay_s
        self._icmp = icmp
        self._machines: list[Machine] = []
        self._at: dict[Address, tuple[Machine, Interface]] = {}
        self._queue: list[tuple[float, int, Machine, Input]] = []
        self._count = 0

    def add(self, machine: Machine, *interfaces: Interface) -> None:
        self._machines.append(machine)
        for interface in interfaces:
            self._at[interface.host, interface.port] = (machine, interface)
        self._carry_out(machine, machine.start(self.now))

    def add_address(self, machine: Machine, host: str) -> None:
        """The machine's one interface is at this address now."""
        (old,) = [address for address, (owner, _) in self._at.items() if owner is machine]
        self._at[host, old[1]] = self._at.pop(old)

    def remove(self, machine: Machine) -> None:
        """The process is killed."""
        self._machines.remove(machine)
        for address in [address for address, (owner, _) in self._at.items() if owner is machine]:
            del self._at[address]

    def give(self, machine: Machine, event: Input) -> None:
        """Something happens to a machine, now."""
        self._carry_out(machine, machine.receive(event, self.now))

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        """Someone outside sends a datagram; it arrives at once."""
        machine, interface = self._at[destination]
        self.give(machine, Datagram(Flow(interface.name, source), data))

    def run(self, until_s: float) -> None:
        """Let time pass."""
        while True:
            machine = min(self._machines, key=lambda each: each.deadline())
            due_s = machine.deadline()
            arrival_s = self._queue[0][0] if self._queue else NEVER
            if min(due_s, arrival_s) > until_s:
                break
            if arrival_s <= due_s:
                self.now = max(self.now, arrival_s)
                _, _, receiver, event = heappop(self._queue)
                if receiver in self._machines:
                    self.give(receiver, event)
            else:
                self.now = max(self.now, due_s)
                self._carry_out(machine, machine.tick(self.now))
        self.now = until_s

    def noted(self, kind: type[N]) -> list[N]:
        """The notes of this kind, in order."""
        return [note for _, note in self.notes if isinstance(note, kind)]

    def _carry_out(self, machine: Machine, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Note):
                if self.record:
                    self.notes.append((self.now, effect))
            elif isinstance(effect, Send):
                self._transmit(machine, effect)

    def _transmit(self, machine: Machine, send: Send) -> None:
        source = next(
            address
            for address, (owner, interface) in self._at.items()
            if owner is machine and interface.name == send.flow.interface
        )
        destination = send.flow.peer
        if self.record:
            self.sent.append((self.now, source, destination, send.data))
        target = self._at.get(destination)
        if target is None:
            self.strays.append((self.now, source, destination, send.data))
            if self._icmp:
                self._push(machine, Unreachable(send.flow, "port unreachable"))
        elif not self.lose(send.data):
            receiver, interface = target
            self._push(receiver, Datagram(Flow(interface.name, source), send.data))

    def _push(self, machine: Machine, event: Input) -> None:
        self._count += 1
        heappush(self._queue, (self.now + self._delay_s, self._count, machine, event))


def udp(name: str, host: str, port: int = 5060) -> Interface:
    """A datagram interface."""
    return Interface(name=name, transport="udp", host=host, port=port)
