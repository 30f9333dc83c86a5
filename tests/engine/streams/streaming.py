"""A world with every kind of stream interface, and phones that connect to it."""

from __future__ import annotations

from typing import Any

from engine.boundary import Interface
from engine.config import StreamsConfig
from engine.notes import ConnectionClosed
from tests.engine.harness import INTERFACES, Peer, World

STREAM_INTERFACES = (
    *INTERFACES,
    Interface(name="ws", transport="ws", host="192.0.2.1", port=8080),
    Interface(name="wss", transport="wss", host="192.0.2.1", port=7443),
    Interface(name="tls", transport="tls", host="192.0.2.1", port=5061),
)


def streaming(*, interfaces: tuple[Interface, ...] = STREAM_INTERFACES, seed: int = 1, **settings: Any) -> World:
    """A world whose connections live as these settings (of StreamsConfig) say, beside limits and nodes."""
    others = {name: settings.pop(name) for name in ("limits", "nodes") if name in settings}
    streams = StreamsConfig(**{"lifetime": "fixed", **settings})
    return World(interfaces=interfaces, seed=seed, streams=streams, **others)


def connected(world: World, interface: str = "ws", number: int = 1, host: str = "198.51.100.20") -> Peer:
    """A peer whose connection was just accepted."""
    peer = world.peer(host, 40_000 + number % 20_000, interface, number)
    peer.opens()
    return peer


def reasons(world: World) -> list[str]:
    """Why connections ended, in order."""
    return [note.reason for note in world.told(ConnectionClosed)]
