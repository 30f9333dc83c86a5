"""One sequence of probes for two NATs: the machine in virtual time, and the kernel in real time.

A probe is answered by what becomes of its packet: where it arrives and from which address, or that it is lost or
refused. A port that the NAT chose by itself is told as ``new1``, ``new2``, ... in the order of appearance, for the
number itself is random.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

from engine.boundary import Address
from sim.nat import Dropped, Nat
from tests.sim.nat.rig import INSIDE, OUTSIDE, ROUTER, Rig

Answers: TypeAlias = dict[str, str]

Times: TypeAlias = dict[str, float]
"""When each probe was sent, in seconds: the kernel's are a little late, and then the machine's shall be too."""

_ARRIVES_WITHIN_S = 1.0
_IP_RECVERR = 11


@dataclass(frozen=True)
class Out:
    """From inside ``source`` to ``peer`` outside, or to the outside endpoint that an earlier probe was given."""

    name: str
    at_s: float
    source: tuple[str, int]
    peer: tuple[str, int] | str


@dataclass(frozen=True)
class In:
    """From ``peer`` outside to the outside endpoint that the probe ``to`` was given."""

    name: str
    at_s: float
    peer: tuple[str, int]
    to: str


Probe: TypeAlias = Out | In


class _Names:
    """Addresses in words that do not depend on chance."""

    def __init__(self) -> None:
        self._places = {host: name for name, host in (INSIDE | OUTSIDE).items()}
        self._new: dict[int, str] = {}

    def arrived(self, at: Address, source: Address, sender: tuple[str, int]) -> str:
        if source[0] != ROUTER:
            return f"{self._place(at)} from {self._place(source)}"
        if source[1] == sender[1]:
            return f"{self._place(at)} with its own port"
        return f"{self._place(at)} with {self._new.setdefault(source[1], f'new{len(self._new) + 1}')}"

    def _place(self, address: Address) -> str:
        return f"{self._places[address[0]]}:{address[1]}"


def ask_machine(nat: Nat, probes: Sequence[Probe], times: Times) -> Answers:
    """What the machine does with the probes, sent at these times."""
    names, outside = _Names(), dict[str, Address]()
    answers: Answers = {}
    for probe in sorted(probes, key=lambda probe: probe.at_s):
        if isinstance(probe, Out):
            sender = probe.source
            source = (INSIDE[sender[0]], sender[1])
            to = outside[probe.peer] if isinstance(probe.peer, str) else (OUTSIDE[probe.peer[0]], probe.peer[1])
            verdict = nat.outbound("udp", source, to, times[probe.name])
        else:
            sender = probe.peer
            verdict = nat.inbound("udp", (OUTSIDE[sender[0]], sender[1]), outside[probe.to], times[probe.name])
        if isinstance(verdict, Dropped):
            answers[probe.name] = "refused" if verdict.refused else "lost"
            continue
        if isinstance(probe, Out):
            outside[probe.name] = verdict.source
        answers[probe.name] = names.arrived(verdict.destination, verdict.source, sender)
    return answers


def ask_kernel(rig: Rig, probes: Sequence[Probe]) -> tuple[Answers, Times]:
    """What the kernel does with them, and when; takes as long as they say."""
    with ExitStack() as stack:
        return _Kernel(rig, probes, stack).ask()


class _Kernel:
    def __init__(self, rig: Rig, probes: Sequence[Probe], stack: ExitStack) -> None:
        self._probes = sorted(probes, key=lambda probe: probe.at_s)
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._arrived: dict[str, tuple[Address, Address]] = {}  # probe -> where, from where
        self._refused: set[str] = set()
        for end in _ends(probes):
            made = stack.enter_context(rig.socket(*end, socket.SOCK_DGRAM))
            made.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            made.setblocking(False)
            self._sockets[end] = made

    def ask(self) -> tuple[Answers, Times]:
        begin_s = time.monotonic()
        times: Times = {}
        for probe in self._probes:
            self._listen_until(begin_s + probe.at_s)
            target = self._target(probe)
            times[probe.name] = time.monotonic() - begin_s
            self._send(probe, target)
        self._listen_until(time.monotonic() + _ARRIVES_WITHIN_S)
        names = _Names()
        return {probe.name: self._answer(probe, names) for probe in self._probes}, times

    def _send(self, probe: Probe, target: Address) -> None:
        sender = self._sockets[_sender(probe)]
        try:
            sender.sendto(probe.name.encode(), target)
        except ConnectionRefusedError:  # what an earlier packet met with; this one was not sent
            self._read(sender)
            sender.sendto(probe.name.encode(), target)

    def _answer(self, probe: Probe, names: _Names) -> str:
        if probe.name in self._arrived:
            return names.arrived(*self._arrived[probe.name], _sender(probe))
        return "refused" if probe.name in self._refused else "lost"

    def _target(self, probe: Probe) -> Address:
        if isinstance(probe, Out) and not isinstance(probe.peer, str):
            return (OUTSIDE[probe.peer[0]], probe.peer[1])
        known = probe.peer if isinstance(probe, Out) else probe.to
        assert isinstance(known, str)
        self._listen_until(time.monotonic() + _ARRIVES_WITHIN_S, known)
        return self._arrived[known][1]

    def _listen_until(self, at_s: float, probe: str | None = None) -> None:
        """Read what comes until then, or until this probe has arrived."""
        while probe not in self._arrived:
            left_s = at_s - time.monotonic()
            if left_s <= 0:
                return
            readable, _, _ = select.select(list(self._sockets.values()), [], [], left_s)
            for each in readable:
                self._read(each)

    def _read(self, each: socket.socket) -> None:
        try:
            while True:  # the packets that ICMP errors are about
                self._refused.add(each.recvmsg(2048, 512, socket.MSG_ERRQUEUE)[0].decode())
        except BlockingIOError:
            pass
        try:
            data, source = each.recvfrom(2048)
        except (BlockingIOError, ConnectionRefusedError):  # refused: told once more than by the queue of errors
            return
        self._arrived[data.decode()] = (each.getsockname(), source)


def _sender(probe: Probe) -> tuple[str, int]:
    return probe.source if isinstance(probe, Out) else probe.peer


def _ends(probes: Iterable[Probe]) -> list[tuple[str, int]]:
    """Every endpoint that takes part."""
    found = [_sender(probe) for probe in probes]
    found += [probe.peer for probe in probes if isinstance(probe, Out) and not isinstance(probe.peer, str)]
    return list(dict.fromkeys(found))
