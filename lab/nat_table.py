"""Which keep-alives keep an agent reachable behind which NAT: the table of presets and intervals.

An agent registers once, then is kept alive or not; after a while somebody calls. The NAT alone decides whether the
INVITE arrives, so what travels here are single packets, answered or not, in the simulated network.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final, Literal, NamedTuple, TypeAlias

import pandas as pd

from engine.boundary import NEVER, Address, Datagram, Effect, Flow, Input, Interface, Machine, Send
from sim.links import Link
from sim.middleboxes import NatBox
from sim.nat import PRESETS, Nat, NatSettings
from sim.world import World

Keeper: TypeAlias = Literal["edge", "edge unanswered", "agent"]
"""Who sends keep-alives: the edge by OPTIONS, the edge by what agents don't answer (CRLF), or the agent."""

Caller: TypeAlias = Literal["edge", "other port", "stranger"]
"""Who calls: the edge that the agent registered at, another port of it, or another host (a node, another edge)."""

INTERVALS_S: Final = (0.0, 15.0, 20.0, 25.0, 29.0, 30.0, 45.0, 60.0, 90.0, 120.0, 150.0, 180.0, 300.0)
"""Seconds between keep-alives; 0: none."""

_EDGE: Final = ("198.51.100.1", 5060)
_OTHER_PORT: Final = ("198.51.100.1", 5070)
_STRANGER: Final = ("198.51.100.2", 5060)
_ONE_WAY_MS: Final = 15.0
_JUST_BEFORE: Final = 0.98  # of an interval: the call comes when the last keep-alive is nearly as old as it gets


class _Row(NamedTuple):
    """One cell of the table: the columns of the data frame."""

    preset: str
    interval_s: float
    keeper: str
    caller: str
    devices: int
    reached: float


class _Agent:
    """Registers at the start; then sends keep-alives, or answers those that come; remembers who called."""

    def __init__(self, interval_s: float, answers: bool) -> None:
        self.called = False
        self._interval_s = interval_s
        self._answers = answers
        self._next_s = NEVER

    def start(self, now: float) -> Sequence[Effect]:
        self._next_s = now + self._interval_s if self._interval_s else NEVER
        return [Send(Flow("sip", _EDGE), b"REGISTER")]

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if not isinstance(event, Datagram):
            return ()
        self.called = self.called or event.data == b"INVITE"
        return [Send(event.flow, b"200")] if event.data == b"OPTIONS" and self._answers else ()

    def tick(self, now: float) -> Sequence[Effect]:
        if now < self._next_s:
            return ()
        self._next_s += self._interval_s
        return [Send(Flow("sip", _EDGE), b"CRLF")]

    def deadline(self) -> float:
        return self._next_s


class _Edge:
    """Answers registrations, keeps the bindings alive, and calls each of them once; so do its other addresses."""

    def __init__(self, interval_s: float, call_s: float) -> None:
        self.bindings: list[Address] = []
        self._interval_s = interval_s
        self._next_s = interval_s or NEVER
        self._call_s = call_s

    def start(self, now: float) -> Sequence[Effect]:
        return ()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if not isinstance(event, Datagram) or event.data == b"200":
            return ()
        if event.data == b"REGISTER":
            self.bindings.append(event.flow.peer)
        return [Send(event.flow, b"200")]

    def tick(self, now: float) -> Sequence[Effect]:
        what = b""
        if now >= self._call_s:
            self._call_s, what = NEVER, b"INVITE"
        elif now >= self._next_s:
            self._next_s += self._interval_s
            what = b"OPTIONS"
        return [Send(Flow("sip", peer), what) for peer in self.bindings] if what else ()

    def deadline(self) -> float:
        return min(self._next_s, self._call_s)


def nat_table(
    presets: Sequence[str] = tuple(PRESETS),
    *,
    intervals_s: Sequence[float] = INTERVALS_S,
    keepers: Sequence[Keeper] = ("edge",),
    callers: Sequence[Caller] = ("edge",),
    after_s: float = 1800.0,
    devices: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Who can be called, for each preset and keep-alive interval.

    Parameters
    ----------
    presets : sequence of str
        Names of `sim.nat.PRESETS`.
    intervals_s : sequence of float
        Seconds between two keep-alives; 0 for none.
    keepers : sequence of Keeper
        Who sends them.
    callers : sequence of Caller
        Who calls.
    after_s : float
        When the call comes, in seconds from the registration, or up to an interval later: it comes just before a
        keep-alive, when the one before is oldest.
    devices : int
        How many devices of a preset whose time-outs are spread; of others one tells all.
    seed : int
        Fixes the devices and the ports.

    Returns
    -------
    DataFrame
        One row a cell: preset, interval_s, keeper, caller, devices, reached (the share of the devices, 0 to 1).

    Raises
    ------
    KeyError
        If there is no such preset.

    Examples
    --------
    >>> table = nat_table(["linux_masquerade"], intervals_s=[25, 60])
    >>> table[["interval_s", "reached"]].values.tolist()
    [[25.0, 1.0], [60.0, 0.0]]
    """
    rows = []
    for preset, interval_s, keeper, caller in product(presets, intervals_s, keepers, callers):
        count = devices if PRESETS[preset].spread else 1
        reached = _reached(preset, float(interval_s), keeper, caller, after_s, count, seed)
        rows.append(_Row(preset, float(interval_s), keeper, caller, count, reached))
    return pd.DataFrame(rows, columns=_Row._fields)


def _reached(
    preset: str, interval_s: float, keeper: Keeper, caller: Caller, after_s: float, count: int, seed: int
) -> float:
    """The share of so many agents, each behind a NAT of its own, that the call reaches."""
    world = World(seed, links=lambda _one, _other: Link(latency_ms=_ONE_WAY_MS))
    call_s = after_s
    if interval_s:
        call_s = (after_s // interval_s + _JUST_BEFORE) * interval_s
    edge = _Edge(interval_s if keeper != "agent" else 0.0, call_s if caller == "edge" else NEVER)
    other = _Edge(0.0, call_s)
    other.bindings = edge.bindings
    world.add("edge", lambda _: edge, [interface_at(_EDGE)])
    if caller != "edge":
        world.add("other", lambda _: other, [interface_at(_OTHER_PORT if caller == "other port" else _STRANGER)])
    agents = []
    for number in range(count):
        agent = _Agent(interval_s if keeper == "agent" else 0.0, answers=keeper == "edge")
        agents.append(agent)
        add_behind(world, agent, preset, number)
    world.run(call_s + 1.0)
    return sum(agent.called for agent in agents) / count


def add_behind(
    world: World, agent: Machine, preset: str, number: int, *, interface: str = "sip", box: NatBox | None = None
) -> NatBox:
    """Put an agent into a world, behind devices of its own, or behind ``box``.

    Parameters
    ----------
    world : World
        Whose place ``agentN`` it gets.
    agent : Machine
        The machine.
    preset : str
        Name of `sim.nat.PRESETS`.
    number : int
        Gives the agent, and its devices, addresses that no other number has.
    interface : str
        What the machine calls its interface.
    box : NatBox, optional
        A device that is there already.

    Returns
    -------
    NatBox
        The device that it is behind.
    """
    low, high = number % 250 + 1, number // 250
    host = f"192.168.{high}.{low}"
    world.add(f"agent{number}", lambda _: agent, [interface_at((host, 5060), interface)])
    if box is None:
        settings = PRESETS[preset].devices(world.streams.stream(f"devices {number}"))
        outside = [f"100.{64 + stage}.{high}.{low}" for stage in range(len(settings) - 1)] + [
            f"203.0.{113 + high}.{low}"
        ]
        for stage, (each, address) in reversed(list(enumerate(zip(settings, outside, strict=True)))):
            box = _device(world, f"nat{number}.{stage}", each, address, box)
    assert box is not None
    world.network.middleboxes.put_behind(host, box)
    return box


def _device(world: World, name: str, settings: NatSettings, address: str, outer: NatBox | None) -> NatBox:
    return world.network.middleboxes.add_nat(name, Nat(settings, [address], world.streams.stream(name)), outer)


def interface_at(address: Address, name: str = "sip") -> Interface:
    """An interface over UDP at this address."""
    return Interface(name=name, transport="udp", host=address[0], port=address[1])
