"""Registered agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.boundary import Level, Note


@dataclass(frozen=True, slots=True)
class ContactBound(Note):
    """A user's contact is reached at ``place`` from now on: it is new, or has moved. ``node`` has accepted it.

    ``nat`` tells what hints at a NAT in front of the user.
    """

    aor: str
    contact: str
    place: str
    node: str
    nat: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContactUnbound(Note):
    """A user's contact is no longer reached. ``why``: withdrawn, expired, or what became of its connection."""

    aor: str
    contact: str
    why: str


@dataclass(frozen=True, slots=True)
class ContactLost(Note):
    """The connection to a user's contact is gone; the contact stays bound, for the user to come back."""

    level: ClassVar[Level] = Level.WARNING
    aor: str
    contact: str
    why: str


@dataclass(frozen=True, slots=True)
class RequestHeld(Note):
    """A request waits for its agent, whose connection was lost a moment ago, for ``up_to_s``."""

    call_id: str
    method: str
    up_to_s: float


@dataclass(frozen=True, slots=True)
class RequestResumed(Note):
    """A request that was held goes to its agent, who is back."""

    call_id: str
    method: str
    held_s: float


@dataclass(frozen=True, slots=True)
class ContactOrphaned(Note):
    """The node that holds a user's contact takes no calls any more, and the nodes share nothing.

    The user is made to register anew, in ``within_s`` at the latest if it behaves.
    """

    level: ClassVar[Level] = Level.WARNING
    aor: str
    contact: str
    node: str
    within_s: float


@dataclass(frozen=True, slots=True)
class ContactRehomed(Note):
    """Another node has accepted a user's contact."""

    aor: str
    contact: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RefreshAnswered(Note):
    """A user's refresh was answered by the edge itself, while the node's grant lasts."""

    level: ClassVar[Level] = Level.DEBUG
    aor: str
    contacts: int
