"""Streams of packets, and the trains in which they travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.media.sdp.attributes import Fingerprint

if TYPE_CHECKING:
    from sim.media.ends import AgentEnd

PACKET_S: Final = 0.02
"""Every stream sends a packet so often."""

PAYLOAD_BYTES: Final = 160
PACKET_BYTES: Final = 12 + PAYLOAD_BYTES
_SURE: Final = 5  # packets heard in a row after a change, until a stretch may be told by one train
_PATIENCE: Final = 50  # packets that nobody hears, until they are told by the second
_LONGEST: Final = 500


class Stream:
    """What one agent says: packets at even distances from ``began_s`` on.

    ``sent`` are those that left, numbered in the order in which they did.
    """

    __slots__ = ("_span", "began_s", "due", "end", "lag_s", "missed", "over", "passed", "sent", "settled")

    def __init__(self, end: AgentEnd, began_s: float) -> None:
        self.end = end
        self.began_s = began_s
        self.passed = 0  # packets whose time has come
        self.sent = 0
        self.settled = 0  # packets that arrived since the last change
        self.missed = 0  # ... and that did not
        self.due = 0.0
        self.lag_s = 0.0  # the longest way to who hears it; what is younger may still be under way
        self.over = False
        self._span = 1

    def unsettle(self) -> None:
        """Something changes: look at each packet again."""
        self.settled = self.missed = 0
        self._span = 1

    def span(self) -> int:
        """How many packets the next train is to stand for."""
        if self.settled >= _SURE:
            self._span = min(2 * self._span, _LONGEST)
        elif self.missed >= _PATIENCE:
            self._span = _PATIENCE
        else:
            self._span = 1
        return self._span

    def take_due(self, now: float) -> int:
        """How many packets have come due since the last time."""
        # A millionth of a packet's time makes up for the rounding of sums.
        due = int((now - self.began_s) / PACKET_S + 1.0 + 1e-6)
        count = max(due - self.passed, 0)
        self.passed += count
        return count

    def next_at(self, packets: int) -> float:
        """When so many more packets will have come due."""
        return self.began_s + (self.passed + packets - 1) * PACKET_S


@dataclass(slots=True)
class Train:
    """``left`` of ``count`` packets under way for ``delay_s``; the first of them left its speaker at ``first_s``.

    ``call_id`` is that of the call whose part of the way this is. On a secured part ``certificate`` is that of who
    sends there, and only who has shaken hands with it understands; None: anyone does.
    """

    stream: Stream
    call_id: str
    first_s: float
    number: int
    count: int
    left: int
    payload_type: int
    certificate: Fingerprint | None
    delay_s: float = 0.0
    jitter_ms: float = 0.0
    hops: int = 0
    came_s: float = 0.0  # how much of the delay is of earlier parts of the way

    @property
    def speaker(self) -> str:
        return self.stream.end.talking.agent

    @property
    def part_s(self) -> float:
        """How long the last part of the way took."""
        return self.delay_s - self.came_s

    @property
    def arrival_s(self) -> float:
        """When the first packet arrives here."""
        return self.first_s + self.delay_s

    def onwards(self, call_id: str, payload_type: int, certificate: Fingerprint | None) -> Train:
        """The same packets on the next part of their way."""
        return Train(
            self.stream,
            call_id,
            self.first_s,
            self.number,
            self.count,
            self.left,
            payload_type,
            certificate,
            self.delay_s,
            self.jitter_ms,
            self.hops + 1,
            self.delay_s,
        )


@dataclass(frozen=True, slots=True)
class Flight:
    """A message of a DTLS hand-shake: the client's ``first``, or the server's answer, with its certificate."""

    first: bool
    certificate: Fingerprint
