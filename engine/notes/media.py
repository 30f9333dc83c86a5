"""Media and their relays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.boundary import Level, Note


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
class MediaNotMoved(Note):
    """A call whose rtpengine is gone has no sound: its sides could not be brought to another."""

    level: ClassVar[Level] = Level.ERROR
    call_id: str
    why: str


@dataclass(frozen=True, slots=True)
class MediaNotJoined(Note):
    """Two agents have outlived their node, and their rtpengines could not be told of it: they don't hear each
    other."""

    level: ClassVar[Level] = Level.ERROR
    call_id: str
    other_call_id: str
    why: str


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
    """What came from one side of a call, from its first answer to its end.

    ``mos`` is how the other could hear it. Of rtpengines it is None where that one has sent no RTCP, for what was
    lost is not known then. ``dropped`` came from others than that side, or could not be believed to be its own.
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
    mos: float | None
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
class MediaPortsPassedOver(Note):
    """Pairs of media ports that could not be taken, so that calls got others. Told once a second."""

    level: ClassVar[Level] = Level.WARNING
    interface: str
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class MediaDropped(Note):
    """Packets on media ports that were not believed. Told once a second."""

    level: ClassVar[Level] = Level.DEBUG
    interface: str
    why: str
    count: int
