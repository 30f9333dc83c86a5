"""The nodes of the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.boundary import Level, Note


@dataclass(frozen=True, slots=True)
class NodeStateChanged(Note):
    """A node left one state for another; ``why`` names the event."""

    level: ClassVar[Level] = Level.WARNING
    node: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class EventsConnected(Note):
    """A node's event socket tells of its load and calls from now on; ``legs`` of them stand."""

    node: str
    sessions: int
    max_sessions: int
    legs: int


@dataclass(frozen=True, slots=True)
class EventsLost(Note):
    """A node's event socket is not connected; the next try is in ``retry_s``."""

    level: ClassVar[Level] = Level.WARNING
    node: str
    why: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class NodePaused(Note):
    """A node takes no new calls, or does again, by order of its own operator (``fsctl pause``)."""

    level: ClassVar[Level] = Level.WARNING
    node: str
    paused: bool
