"""The facts that the real host tells about itself, beside those of its machine (``engine.notes``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.boundary import Level, Note


@dataclass(frozen=True, slots=True)
class InterfaceBound(Note):
    """The interface is open; ``address`` shows the port that was really taken."""

    interface: str
    transport: str
    address: str


@dataclass(frozen=True, slots=True)
class BufferShort(Note):
    """The kernel granted a smaller socket buffer than asked; bursts may be lost."""

    level: ClassVar[Level] = Level.WARNING
    interface: str
    option: str
    asked_bytes: int
    granted_bytes: int
    remedy: str


@dataclass(frozen=True, slots=True)
class DatagramsLost(Note):
    """Datagrams given up; ``where``: kernel (receive buffer full) or send queue. Told once a second."""

    level: ClassVar[Level] = Level.WARNING
    interface: str
    where: str
    count: int


@dataclass(frozen=True, slots=True)
class MediaLost(Note):
    """Media packets that the relay gave up since it last told: it has more to do than it can.

    ``shed``: for being late; ``overflowed``: the kernel had no room for them; ``unsent``: the kernel, or SRTP, did
    not take them; ``faults``: codecs or hand-shakes failed on them, which they never should.
    """

    level: ClassVar[Level] = Level.WARNING
    shed: int = 0
    overflowed: int = 0
    unsent: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class MachineFailed(Note):
    """The machine raised: a fault of ours. That input is lost, all else goes on. Told once per place."""

    level: ClassVar[Level] = Level.ERROR
    on: str
    error: str
    traceback: str


@dataclass(frozen=True, slots=True)
class ServeStarted(Note):
    """The machine serves."""

    interfaces: tuple[str, ...]
    control: str


@dataclass(frozen=True, slots=True)
class DrainStarted(Note):
    """No new work is taken; what stands may end within ``grace_s``."""

    signal: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class ServeStopped(Note):
    """The end. ``why``: idle, grace (time is up, work was cut off), signal (a second one)."""

    why: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class ReloadFailed(Note):
    """The new settings cannot be used; the old ones stay in force."""

    level: ClassVar[Level] = Level.ERROR
    why: str


@dataclass(frozen=True, slots=True)
class CertificateLoaded(Note):
    """New hand-shakes show this certificate from now on; connections that stand keep theirs."""

    interface: str
    certificate: str


@dataclass(frozen=True, slots=True)
class LinesDropped(Note):
    """Log lines that were given up because the log's file is slower than the facts."""

    level: ClassVar[Level] = Level.WARNING
    count: int


@dataclass(frozen=True, slots=True)
class CallRecordsLost(Note):
    """Call records that were given up because their file or database took none for too long."""

    level: ClassVar[Level] = Level.ERROR
    count: int
