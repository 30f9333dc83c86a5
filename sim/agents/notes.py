"""What the modelled peers tell about themselves: the callers' own truth, beside what the edge says (engine.notes).

Offered, answered and failed calls, and how long callers waited, are computed from these. ``agent`` is the name of
the machine; durations end in ``_s``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.boundary import Level, Note


@dataclass(frozen=True, slots=True)
class CallPlaced(Note):
    """A user began a call: its first INVITE went out."""

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    user: str
    to: str


@dataclass(frozen=True, slots=True)
class CallSetUp(Note):
    """The call was answered.

    ``setup_s`` runs from the first INVITE to the first 180, 183 or 200 (``first_status``), ``answer_s`` to the
    200.
    """

    call_id: str
    user: str
    to: str
    first_status: int
    setup_s: float
    answer_s: float
    retransmissions: int  # of its INVITEs


@dataclass(frozen=True, slots=True)
class CallLost(Note):
    """The call ended before it was answered.

    ``why`` is refused, timeout, unreachable, or gave up (the caller's patience ended first). ``status`` and
    ``reason`` are the final response's; where none came, 408 and 503 stand in (RFC 3261 §8.1.3.1), and 487 for a
    cancelled call.
    """

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    user: str
    to: str
    status: int
    reason: str
    why: str
    elapsed_s: float
    retransmissions: int


@dataclass(frozen=True, slots=True)
class CallTaken(Note):
    """A user answered a call that came in."""

    call_id: str
    user: str
    caller: str


@dataclass(frozen=True, slots=True)
class CallMissed(Note):
    """A call that came in ended before it was answered: cancelled."""

    call_id: str
    user: str
    caller: str


@dataclass(frozen=True, slots=True)
class CallEnded(Note):
    """An answered call is over.

    ``why``: hung up, far end hung up, no ACK, no answer to BYE, unreachable, or the status with which a BYE was
    refused (481: the far end knows nothing of the call).
    """

    call_id: str
    user: str
    why: str
    reason: str  # the Reason header of the far end's BYE, if any
    duration_s: float


@dataclass(frozen=True, slots=True)
class Registered(Note):
    """A registration was granted for ``expires_s``, ``elapsed_s`` after the first REGISTER of this round."""

    level: ClassVar[Level] = Level.DEBUG
    user: str
    expires_s: float
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Unregistered(Note):
    """A user's registration was withdrawn by itself."""

    user: str


@dataclass(frozen=True, slots=True)
class RegistrationFailed(Note):
    """A registration was refused (``status``), or got no answer (408) or no way (503)."""

    level: ClassVar[Level] = Level.WARNING
    user: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class RegistrationLost(Note):
    """A user that believed to be registered learned that it isn't: its connection ended, or its refresh failed."""

    level: ClassVar[Level] = Level.WARNING
    user: str
    why: str


@dataclass(frozen=True, slots=True)
class Connected(Note):
    """A client's connection to its server stands; ``attempts`` failed before, since the last one ended."""

    level: ClassVar[Level] = Level.DEBUG
    attempts: int


@dataclass(frozen=True, slots=True)
class Disconnected(Note):
    """A client's connection ended, or could not be opened; in ``retry_s`` it tries again."""

    reason: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class TabClosed(Note):
    """A user closed the browser's tab, without a word to anyone: its connection just ends."""

    user: str


@dataclass(frozen=True, slots=True)
class BindingStored(Note):
    """A node's registrar holds a user's contact."""

    level: ClassVar[Level] = Level.DEBUG
    agent: str
    user: str
    contact: str


@dataclass(frozen=True, slots=True)
class BindingRemoved(Note):
    """A node's registrar holds it no more. ``why``: expired, or withdrawn by the user."""

    level: ClassVar[Level] = Level.DEBUG
    agent: str
    user: str
    why: str


@dataclass(frozen=True, slots=True)
class UserPinged(Note):
    """A node asked a registered user by OPTIONS whether it is there; ``status`` is the final response's.

    408 and 503 stand for no answer and no way.
    """

    level: ClassVar[Level] = Level.DEBUG
    agent: str
    user: str
    status: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class OrderCarriedOut(Note):
    """An operator's order to a modelled agent took effect."""

    agent: str
    order: str
    argument: str


@dataclass(frozen=True, slots=True)
class OrderRefused(Note):
    """An order that this agent does not know, or cannot carry out now."""

    level: ClassVar[Level] = Level.WARNING
    agent: str
    order: str
    why: str
