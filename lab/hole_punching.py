"""Who hears whom without a relay: the table of NATs against NATs, by the checks that ICE makes.

Two agents, each behind a device of its own, learn from a server how their NAT shows them to it (STUN, RFC 8489),
are told of each other, and send checks to what they were told. Who is checked answers where the check came from
(peer-reflexive candidates, RFC 8445 §7.3.1.3); an answered check proves that media can pass. What travels here
are single packets in the simulated network, so the NATs alone decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

import pandas as pd

from engine.boundary import NEVER, Address, Datagram, Effect, Flow, Input, Send
from lab.nat_table import add_behind, interface_at
from sim.links import Link
from sim.world import World

SIMPLE_NATS: Final = ("full_cone", "restricted", "port_restricted", "symmetric")
"""The kinds of RFC 3489 §5, whose table everybody prints."""

_SERVER: Final = ("198.51.100.1", 3478)
_ONE_WAY_MS: Final = 15.0
_BETWEEN_CHECKS_S: Final = 0.05  # Ta of RFC 8445 §14.2
_CHECKS: Final = 40


class _Server:
    """Tells each sender where its packet came from."""

    def start(self, now: float) -> Sequence[Effect]:
        return ()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if not isinstance(event, Datagram):
            return ()
        host, port = event.flow.peer
        return [Send(event.flow, f"you are {host} {port}".encode())]

    def tick(self, now: float) -> Sequence[Effect]:
        return ()

    def deadline(self) -> float:
        return NEVER


class _Agent:
    """Asks how it is seen, then checks its peer; ``peer`` is set once both have asked (signalling tells them)."""

    def __init__(self) -> None:
        self.seen: Address | None = None
        self.peer: _Agent | None = None
        self.heard = False
        self._checks = 0
        self._next_s = NEVER

    def start(self, now: float) -> Sequence[Effect]:
        self._next_s = now + 1.0
        return [Send(Flow("media", _SERVER), b"who am I?")]

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if not isinstance(event, Datagram):
            return ()
        what, _, rest = event.data.partition(b" are ")
        if what == b"you":
            host, port = rest.decode().split()
            self.seen = (host, int(port))
        elif event.data == b"check":
            return [Send(event.flow, b"answer")]
        elif event.data == b"answer":
            self.heard = True
        return ()

    def tick(self, now: float) -> Sequence[Effect]:
        if now < self._next_s:
            return ()
        self._checks += 1
        self._next_s = now + _BETWEEN_CHECKS_S if self._checks < _CHECKS else NEVER
        there = self.peer.seen if self.peer else None
        return [Send(Flow("media", there), b"check")] if there else ()

    def deadline(self) -> float:
        return self._next_s


def hole_punching(
    presets: Sequence[str] = SIMPLE_NATS, *, pairs: int = 1, seed: int = 0, behind_one: bool = False
) -> pd.DataFrame:
    """Try each kind of NAT against each.

    Parameters
    ----------
    presets : sequence of str
        Names of `sim.nat.PRESETS`.
    pairs : int
        How many pairs of agents, each with devices of its own; more than one tells something where a device
        draws its behaviour.
    seed : int
        Fixes the devices and the ports.
    behind_one : bool
        Both agents behind one and the same device instead (hairpinning): one row a preset.

    Returns
    -------
    DataFrame
        One row a pair of kinds: ``one``, ``other``, ``pairs``, ``direct`` (the share of pairs whose media pass
        without a relay, 0 to 1).

    Raises
    ------
    KeyError
        If there is no such preset.

    Examples
    --------
    >>> hole_punching(["full_cone", "symmetric"])["direct"].tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    kinds = [(preset, preset) for preset in presets] if behind_one else list(product(presets, repeat=2))
    return pd.DataFrame(
        {"one": one, "other": other, "pairs": pairs, "direct": _share(one, other, pairs, seed, behind_one)}
        for one, other in kinds
    )


def _share(one: str, other: str, pairs: int, seed: int, behind_one: bool) -> float:
    world = World(seed, links=lambda _one, _other: Link(latency_ms=_ONE_WAY_MS))
    world.add("server", lambda _: _Server(), [interface_at(_SERVER, "media")])
    agents: list[_Agent] = []
    for number in range(pairs):
        both = (_Agent(), _Agent())
        both[0].peer, both[1].peer = both[1], both[0]
        agents += both
        first = add_behind(world, both[0], one, 2 * number, interface="media")
        add_behind(world, both[1], other, 2 * number + 1, interface="media", box=first if behind_one else None)
    world.run(1.0 + _CHECKS * _BETWEEN_CHECKS_S + 1.0)
    direct = [agents[2 * number].heard or agents[2 * number + 1].heard for number in range(pairs)]
    return sum(direct) / pairs
