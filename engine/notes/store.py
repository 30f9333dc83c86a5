"""What is kept over a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.boundary import Level, Note


@dataclass(frozen=True, slots=True)
class RecordsRestored(Note):
    """What the store held was taken over: contacts, dialogs that stand, and nodes with something against them."""

    bindings: int
    dialogs: int
    nodes: int


@dataclass(frozen=True, slots=True)
class StoreLost(Note):
    """The database fails, or answers too late. The edge goes on from memory; ``waiting`` records are unwritten."""

    level: ClassVar[Level] = Level.ERROR
    database: str
    why: str
    waiting: int


@dataclass(frozen=True, slots=True)
class StoreBack(Note):
    """The database takes records again, and has all that waited for it."""

    level: ClassVar[Level] = Level.WARNING
    database: str
    away_s: float


@dataclass(frozen=True, slots=True)
class RecordsDropped(Note):
    """Records that were given up, since too many wait for the database; a restart would not know of them."""

    level: ClassVar[Level] = Level.ERROR
    database: str
    count: int


@dataclass(frozen=True, slots=True)
class RecordsUnwritten(Note):
    """The process ends, and the database has not taken these records: the next life will not know of them."""

    level: ClassVar[Level] = Level.ERROR
    database: str
    count: int
