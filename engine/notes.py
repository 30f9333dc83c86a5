"""The facts that the edge tells about itself. One class each; hosts and the lab read them by type and field.

Fields are plain values, so that a Note is a data-frame row as it stands. ``call_id`` is the Call-ID as text,
durations end in ``_s``, addresses are ``host:port``.
"""

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


@dataclass(frozen=True, slots=True)
class DialogEnded(Note):
    """A call's slot at its node is free again.

    ``why``: bye, lost (node said 481 or nothing), gone (its node's event socket says so), lifetime.
    """

    call_id: str
    node: str
    resource: str
    why: str
    duration_s: float


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
class PolicyFailed(Note):
    """The policy raised; that call got 500. ``traceback`` is text, told once per kind of error."""

    level: ClassVar[Level] = Level.ERROR
    call_id: str
    policy: str
    error: str
    traceback: str = field(repr=False)  # its paths differ between machines, a trace's hash must not


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


@dataclass(frozen=True, slots=True)
class RelayStateChanged(Note):
    """An rtpengine left one state for another; ``why`` names the event, ``calls`` run through it."""

    level: ClassVar[Level] = Level.WARNING
    relay: str
    before: str
    after: str
    why: str
    calls: int


@dataclass(frozen=True, slots=True)
class RelayAnswersDropped(Note):
    """Answers of an rtpengine, or of somebody who would be one, that belong to no order. Told once a second."""

    level: ClassVar[Level] = Level.WARNING
    interface: str
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class MediaMoved(Note):
    """The media of a call go through another rtpengine than before, for that one has died or forgotten them."""

    call_id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class MediaRefused(Note):
    """The media of a message can't be relayed. A request got ``status``; a response went on without them.

    ``message`` is ``INVITE``, ``200 to INVITE``, ...; ``sender`` is caller or callee.
    """

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    message: str
    sender: str
    status: int
    why: str


@dataclass(frozen=True, slots=True)
class DescriptionForgiven(Note):
    """A session description breaks a rule that could be done without."""

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    sender: str
    fault: str


@dataclass(frozen=True, slots=True)
class MediaFound(Note):
    """Media of one side (caller, callee) are taken from ``source`` from now on, and from nobody else.

    ``told`` is where the side said that it is; "" where it could not be sent to. ``kind`` is audio, video, ...
    """

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    side: str
    kind: str
    source: str
    told: str


@dataclass(frozen=True, slots=True)
class MediaSilent(Note):
    """Nothing comes from a side that should speak; ``began`` is False when it is heard again."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    side: str
    silent_s: float
    began: bool


@dataclass(frozen=True, slots=True)
class OneWayAudio(Note):
    """Of two sides that should both speak only ``heard`` is heard. Told once for as long as it lasts."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    heard: str


@dataclass(frozen=True, slots=True)
class MediaEnded(Note):
    """What came from one side of a call, from its first answer to its end. ``mos`` is how the other could hear it.

    ``dropped`` came from others than that side, or could not be believed to be its own.
    """

    call_id: str
    side: str
    codec: str
    duration_s: float
    packets: int
    octets: int
    lost: int
    jitter_ms: float
    round_trip_ms: float | None
    mos: float
    dropped: int


@dataclass(frozen=True, slots=True)
class MediaTimedOut(Note):
    """Nobody has sent anything in a call for ``silent_s``: its ports are free again. The call stands."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    silent_s: float


@dataclass(frozen=True, slots=True)
class MediaFailed(Note):
    """A port, or its DTLS hand-shake, has failed: a call has no sound on that side."""

    level: ClassVar[Level] = Level.ERROR
    call_id: str
    side: str
    why: str


@dataclass(frozen=True, slots=True)
class MediaDropped(Note):
    """Packets on media ports that were not believed. Told once a second."""

    level: ClassVar[Level] = Level.DEBUG
    interface: str
    why: str
    count: int


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
