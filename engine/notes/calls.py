"""Calls and their dialogs: from the decision where to send one to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from engine.boundary import Level, Note


@dataclass(frozen=True, slots=True)
class CallAdmitted(Note):
    """A new out-of-dialog request was handed to the policy (``method`` says which: INVITE, REGISTER, ...)."""

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    method: str
    uri: str
    source: str


@dataclass(frozen=True, slots=True)
class DecisionTaken(Note):
    """A node was chosen; ``chosen`` is "" where none could be. ``passed_over`` names the others with reasons."""

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    policy: str
    group: str
    resource: str
    chosen: str
    why: str
    passed_over: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AttemptStarted(Note):
    """The request goes to this node; ``attempt`` counts from 1."""

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    node: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptEnded(Note):
    """The attempt failed or was cancelled; ``status`` is what the node said, or 408 where it said nothing."""

    call_id: str
    node: str
    attempt: int
    status: int
    why: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class CallAnswered(Note):
    """The first 2xx went back to the caller. ``node`` is "" where the request went to no node of the pool."""

    call_id: str
    method: str
    node: str
    status: int
    attempts: int
    setup_s: float
    caller: str = ""  # URIs of From and To, of an INVITE
    callee: str = ""


@dataclass(frozen=True, slots=True)
class CallFailed(Note):
    """A final response other than 2xx went back to the caller, whoever made it."""

    call_id: str
    method: str
    node: str
    status: int
    reason: str
    attempts: int
    elapsed_s: float
    caller: str = ""  # as in CallAnswered
    callee: str = ""


@dataclass(frozen=True, slots=True)
class DialogEnded(Note):
    """A call's slot at its node is free again.

    ``why``: bye, lost (node said 481 or nothing), gone (its node's event socket says so), lifetime,
    taken over (the node died, and the edge answers in its place).
    """

    call_id: str
    node: str
    resource: str
    why: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class PolicyFailed(Note):
    """The policy raised; that call got 500. ``traceback`` is text, told once per kind of error."""

    level: ClassVar[Level] = Level.ERROR
    call_id: str
    policy: str
    error: str
    traceback: str = field(repr=False)  # its paths differ between machines, a trace's hash must not


@dataclass(frozen=True, slots=True)
class CallRestored(Note):
    """A call that was answered in an earlier life of this edge stands."""

    call_id: str
    caller: str
    callee: str
    node: str
    age_s: float


@dataclass(frozen=True, slots=True)
class CallRescued(Note):
    """The node between two agents died, and they go on without it: the calls of both."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    other_call_id: str
    node: str


@dataclass(frozen=True, slots=True)
class CallNotRescued(Note):
    """The node of a call died, and nobody is known to go on with: the reason."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    node: str
    why: str


@dataclass(frozen=True, slots=True)
class CallNotEnded(Note):
    """An operator ordered a call's end, and neither its node nor the edge can bring it about: the reason."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    node: str
    why: str


@dataclass(frozen=True, slots=True)
class CallMoving(Note):
    """The node of a call to an application died: another one is called for it, by ``other_call_id``."""

    call_id: str
    other_call_id: str
    node: str


@dataclass(frozen=True, slots=True)
class CallMoved(Note):
    """``to`` has answered, and the agent goes on there. ``after_s``: since the death of ``node``."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    other_call_id: str
    node: str
    to: str
    after_s: float


@dataclass(frozen=True, slots=True)
class RescuedCallEnded(Note):
    """A rescued conversation is over. ``why``: bye, or how an agent was lost."""

    call_id: str
    other_call_id: str
    why: str
    duration_s: float  # since the rescue
