"""Pairs of UDP ports for media: an even one for RTP and the next for RTCP (RFC 3550 §11), from a range.

A pair that was given back rests for a while, so that what is still on its way to the old call reaches nobody.
Free pairs are taken at random: a stranger who sends to the range must guess.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from engine.boundary import Address
from engine.sip.errors import SipError

REST_S = 5.0
"""How long a pair rests: longer than a late packet or a peer that still has to hear of the end."""


_MOST_TRIES: Final = 64  # pairs looked at for one that nobody else has


class PortsExhaustedError(SipError):
    """Every pair of a range is in use or at rest: 503."""

    def __init__(self, interface: str) -> None:
        super().__init__(f"media ports of {interface} exhausted", 503)
        self.interface = interface


class PortPool:
    """The pairs of one interface. ``low`` and ``high`` are the first and the last port of the range."""

    __slots__ = (
        "_free",
        "_random",
        "_rest_s",
        "_resting",
        "_taken",
        "interface",
        "is_free",
        "pairs",
        "passed_over",
    )

    def __init__(self, interface: str, low: int, high: int, random: Random, rest_s: float = REST_S) -> None:
        first = low + low % 2
        if not 0 < low <= high <= 65_535 or high <= first:
            raise ValueError(f"media port range {low}-{high} of {interface} holds no pair")
        self.interface = interface
        self._free = list(range(first, high, 2))
        self.pairs = len(self._free)
        self._taken: set[int] = set()
        self._resting: deque[tuple[float, int]] = deque()
        self._random = random
        self._rest_s = rest_s
        self.is_free: Callable[[int], bool] | None = None  # asked by whoever can say whether a pair can be bound
        self.passed_over = 0  # pairs that could not, since the start

    def take(self, now: float) -> int:
        """Reserve a pair; the even port names it. One that something else on the machine has is passed over.

        Raises
        ------
        PortsExhaustedError
            Where none is free.
        """
        resting = self._resting
        while resting and resting[0][0] <= now:
            self._free.append(resting.popleft()[1])
        free = self._free
        for _ in range(min(len(free), _MOST_TRIES)):
            index = self._random.randrange(len(free))
            free[index], free[-1] = free[-1], free[index]
            port = free.pop()
            if self.is_free is None or self.is_free(port):
                self._taken.add(port)
                return port
            self.passed_over += 1
            self._resting.append((now + self._rest_s, port))  # whoever has it may be gone then
        raise PortsExhaustedError(self.interface)

    def give(self, port: int, now: float) -> None:
        """Give a pair back. One that wasn't taken, or was given back before, is passed over."""
        if port in self._taken:
            self._taken.remove(port)
            self._resting.append((now + self._rest_s, port))

    def holds(self, port: int) -> bool:
        """Whether a port, even or odd, belongs to a pair in use."""
        return port - port % 2 in self._taken

    @property
    def in_use(self) -> int:
        """Pairs in use."""
        return len(self._taken)


class OwnPorts:
    """Which addresses are ports of ours in use, under any of the hosts that stand for us (``targets.Targets``).

    ``hosts`` pairs a host, bound or advertised, with the pool of its interface.
    """

    __slots__ = ("_pools",)

    def __init__(self, hosts: Sequence[tuple[str, PortPool]]) -> None:
        self._pools: dict[str, list[PortPool]] = {}
        for host, pool in hosts:
            self._pools.setdefault(host, []).append(pool)

    def __call__(self, address: Address) -> bool:
        host, port = address
        return any(pool.holds(port) for pool in self._pools.get(host, ()))
