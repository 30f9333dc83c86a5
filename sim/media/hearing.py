"""What an agent heard in a call: from whom, from when on, with which loss and gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from engine.boundary import Level, Note
from engine.media.mos import mos, rating
from sim.media.trains import PACKET_S, Train

_GAP_S: Final = 0.1
"""A pause of speech below it is no gap: jitter buffers bridge as much."""

_BUFFER_MS: Final = 40.0  # of the receiver, two packets


@dataclass(frozen=True, slots=True)
class Heard(Note):
    """One agent's ears in one call, for one speaker; ``speaker`` is "" where it heard nobody. Told at its end.

    Times are seconds from the start of the run. ``began_s`` is when it knew where to listen, ``after_s`` runs from
    then to the first packet. ``mos`` is by delay and loss (G.107).
    """

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    listener: str
    speaker: str
    began_s: float
    first_s: float | None = None
    last_s: float | None = None
    after_s: float | None = None
    packets: int = 0
    lost: int = 0
    gaps: int = 0
    longest_gap_s: float = 0.0
    delay_ms: float | None = None
    mos: float | None = None


@dataclass(frozen=True, slots=True)
class MediaStrayed(Note):
    """Packets of another call reached an agent."""

    level: ClassVar[Level] = Level.ERROR
    call_id: str
    listener: str
    other_call_id: str
    speaker: str


class Hearing:
    """One speaker in one agent's ears."""

    __slots__ = (
        "_delay_sum_ms",
        "_first_s",
        "_gaps",
        "_highest",
        "_jitter_ms",
        "_last_s",
        "_longest_gap_s",
        "_lowest",
        "_packets",
    )

    def __init__(self) -> None:
        self._first_s = self._last_s = 0.0
        self._packets = self._gaps = 0
        self._longest_gap_s = 0.0
        self._lowest = self._highest = -1
        self._delay_sum_ms = 0.0
        self._jitter_ms = 0.0

    def hear(self, train: Train) -> None:
        """A train has arrived, whole or in part."""
        first_s = train.arrival_s
        last_s = first_s + (train.count - 1) * PACKET_S
        if not self._packets:
            self._first_s, self._lowest = first_s, train.number
            self._last_s = last_s
        gap_s = first_s - self._last_s - PACKET_S
        if gap_s > _GAP_S:
            self._gaps += 1
            self._longest_gap_s = max(self._longest_gap_s, gap_s)
        self._last_s = max(self._last_s, last_s)
        self._packets += train.left
        self._highest = max(self._highest, train.number + train.count - 1)
        self._delay_sum_ms += 1000.0 * train.delay_s * train.left
        self._jitter_ms = max(self._jitter_ms, train.jitter_ms)

    def told(self, call_id: str, listener: str, speaker: str, began_s: float, codec: str) -> Heard:
        """What it comes to."""
        expected = self._highest - self._lowest + 1
        lost = max(expected - self._packets, 0)
        delay_ms = self._delay_sum_ms / self._packets
        mouth_to_ear_ms = delay_ms + 2.0 * self._jitter_ms + _BUFFER_MS
        return Heard(
            call_id,
            listener,
            speaker,
            began_s,
            self._first_s,
            self._last_s,
            max(self._first_s - began_s, 0.0),
            self._packets,
            lost,
            self._gaps,
            self._longest_gap_s,
            delay_ms,
            mos(rating(mouth_to_ear_ms, lost / max(expected, 1), codec.encode("ascii"))),
        )
