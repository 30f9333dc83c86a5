"""One random stream per named consumer.

Every consumer of randomness (a link's direction, a machine's incarnation) draws from a stream of its own, so that
what one consumer draws never shifts what another one gets: two runs that differ in policy alone see the same
arrivals and the same hold times (common random numbers), and a run is the same whatever the hash seed.
"""

from __future__ import annotations

from hashlib import blake2b
from random import Random


class RandomStreams:
    """Streams derived from one seed by name alone: neither the order of creation nor other streams matter."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, name: str) -> Random:
        """A new generator at the beginning of the stream ``name``; the same name gives the same numbers."""
        digest = blake2b(f"{self.seed}/{name}".encode(), digest_size=32).digest()
        return Random(int.from_bytes(digest, "big"))
