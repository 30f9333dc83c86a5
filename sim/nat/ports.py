"""Which outside address and port a new mapping gets (RFC 4787 §4.1 pooling, §4.2 port assignment)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from engine.boundary import Address
from sim.nat.settings import NatSettings


class Outsides:
    """The outside endpoints of one NAT. Who holds which is its caller's business."""

    def __init__(self, settings: NatSettings, addresses: tuple[str, ...], rng: Random) -> None:
        self._settings = settings
        self._addresses = addresses
        self._rng = rng
        self.clear()

    def clear(self) -> None:
        """Nobody has a mapping any more."""
        self._paired: dict[str, str] = {}  # inside address -> outside address
        self._mappings: dict[str, int] = {}  # by inside address
        self._next = self._settings.first_port

    def take(self, inside: str, outside: Address) -> None:
        """An inside address got a mapping."""
        self._paired[inside] = outside[0]
        self._mappings[inside] = self._mappings.get(inside, 0) + 1

    def give_back(self, inside: str) -> None:
        """A mapping of this inside address ended."""
        self._mappings[inside] -= 1
        if not self._mappings[inside]:
            del self._mappings[inside], self._paired[inside]

    def choose(
        self, inside: Address, neighbour: Address | None, taken: Callable[[Address], bool]
    ) -> Address | None:
        """An outside endpoint for an inside one, or None where all are taken."""
        if neighbour is not None and 1 <= neighbour[1] <= 65_535 and not taken(neighbour):
            return neighbour
        for host in self._hosts(inside[0]):
            for port in self._ports(inside[1]):
                if not taken((host, port)):
                    self._next = port + 1
                    return (host, port)
        return None

    def _hosts(self, inside: str) -> Iterator[str]:
        paired = self._paired.get(inside)
        if paired is not None and self._settings.pooling == "paired":
            yield paired  # REQ-2: rather none than another
            return
        yield from self._rng.sample(self._addresses, len(self._addresses))

    def _ports(self, inside: int) -> Iterator[int]:
        settings = self._settings
        if settings.preserve_port:
            yield inside
        first, size = settings.first_port, settings.last_port - settings.first_port + 1
        begin = self._rng.randrange(size) if settings.assignment == "random" else (self._next - first) % size
        for index in range(size):
            port = first + (begin + index) % size
            if not settings.parity or port % 2 == inside % 2:
                yield port
