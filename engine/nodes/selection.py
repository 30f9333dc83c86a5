"""Which of several eligible nodes takes the call: the algorithms of OpenSIPS' dispatcher and load balancer.

Each takes nodes of one priority, at least one, and returns the chosen one with the reason in words. All are
deterministic given the nodes' counters and the random source.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from engine.nodes.node import Node


class Wish:
    """What a choice is made for: ``resource`` by load-balancing algorithms, ``key`` by hashing ones."""

    __slots__ = ("key", "resource", "rng")

    def __init__(self, resource: str, key: bytes, rng: random.Random) -> None:
        self.resource = resource
        self.key = key
        self.rng = rng


Algorithm = Callable[[Sequence[Node], Wish], tuple[Node, str]]


def first(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """The first in the order of the configuration (dispatcher algorithm 8)."""
    return nodes[0], "first in order"


def at_random(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """Random, by weight (dispatcher algorithm 6)."""
    return wish.rng.choices(nodes, weights=[max(node.config.weight, 0) or 1e-9 for node in nodes])[0], "random"


def rotation(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """The one not chosen for longest."""
    return min(nodes, key=lambda node: node.chosen_at), "its turn"


def round_robin(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """Round robin by weight (dispatcher algorithm 4), smooth: A A B A, not A A A B."""
    total = sum(node.config.weight for node in nodes)
    for node in nodes:
        node.current_weight += node.config.weight
    chosen = max(nodes, key=lambda node: (node.current_weight, -node.chosen_at))
    chosen.current_weight -= total
    return chosen, "its turn"


def most_free(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """Most free channels of the resource (load_balancer); among equals the one not chosen for longest."""
    chosen = max(nodes, key=lambda node: (node.free(wish.resource), -node.chosen_at))
    return chosen, f"most free: {chosen.free(wish.resource):g}"


def most_free_first_wins(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """As ``most_free``, but among equals the first, as OpenSIPS does."""
    chosen = max(nodes, key=lambda node: node.free(wish.resource))
    return chosen, f"most free: {chosen.free(wish.resource):g}"


def most_free_share(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """Largest free share of the resource (load_balancer, relative)."""
    chosen = max(nodes, key=lambda node: (node.free_share(wish.resource), -node.chosen_at))
    return chosen, f"largest free share: {chosen.free_share(wish.resource):.0%}"


def lowest_latency(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """Shortest first answer on average; one that was never measured comes first, to be measured."""
    chosen = min(nodes, key=lambda node: (node.latency_s if node.latency_s is not None else -1.0, node.chosen_at))
    known = "unknown" if chosen.latency_s is None else f"{chosen.latency_s * 1000:.1f} ms"
    return chosen, f"latency {known}"


def hashed(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """Hash of the key over the list (dispatcher algorithms 0 to 3, 7): any change of the list moves most keys."""
    return nodes[_digest(wish.key) % len(nodes)], "hash"


def rendezvous(nodes: Sequence[Node], wish: Wish) -> tuple[Node, str]:
    """Highest random weight of key and node: a node that leaves moves its own keys only."""
    return max(nodes, key=lambda node: _digest(wish.key + b"\0" + node.name.encode())), "hash"


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


ALGORITHMS: Final[dict[str, Algorithm]] = {
    "first": first,
    "random": at_random,
    "rotation": rotation,
    "round_robin": round_robin,
    "most_free": most_free,
    "most_free_first_wins": most_free_first_wins,
    "most_free_share": most_free_share,
    "latency": lowest_latency,
    "hash": hashed,
    "rendezvous": rendezvous,
}
