"""The edge itself: what it refuses, its bounds, its connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.boundary import Level, Note


@dataclass(frozen=True, slots=True)
class RequestRefused(Note):
    """The edge itself answered a request before any policy saw it (400, 416, 420, 482, 483, 503, 505, ...)."""

    source: str
    method: str
    status: int
    why: str


@dataclass(frozen=True, slots=True)
class MessageDropped(Note):
    """A message that gets no answer: unreadable, stray response, answer to nobody."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Overloaded(Note):
    """A bound was reached and new requests get 503; told when it begins and when it ends."""

    level: ClassVar[Level] = Level.WARNING
    what: str
    bound: int
    began: bool


@dataclass(frozen=True, slots=True)
class Reconfigured(Note):
    """New settings are in force; ``changes`` says in words what differs."""

    edge: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConnectionOpened(Note):
    """A connection stands; ``accepted`` where the peer opened it. ``stream`` is its number at ``interface``."""

    level: ClassVar[Level] = Level.DEBUG
    interface: str
    peer: str
    stream: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class ConnectionClosed(Note):
    """A connection ended. ``reason``: who ended it, and why (idle, ping unanswered, closed by peer, ...)."""

    interface: str
    peer: str
    stream: int
    reason: str
    age_s: float


@dataclass(frozen=True, slots=True)
class ConnectionsRefused(Note):
    """Connections closed before they served; told once a second.

    ``why``: a bound, no file descriptors left, or what went wrong in the hand-shake (TLS, WebSocket).
    """

    level: ClassVar[Level] = Level.WARNING
    interface: str
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class StunDropped(Note):
    """STUN messages that get no answer. Told once a second."""

    interface: str
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class PeerLost(Note):
    """Another edge is silent: nothing is sent to it, and this one stands in its place in its agents' calls."""

    level: ClassVar[Level] = Level.WARNING
    peer: str


@dataclass(frozen=True, slots=True)
class PeerReturned(Note):
    """Another edge answers again."""

    peer: str
