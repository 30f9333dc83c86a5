"""What each side of a stream could hear: the host's measurements added up, rated, and looked at for silence."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.media.mos import mos, rating
from engine.media.rules import MediaStats

SILENT_S: Final = 5.0
"""A side that should send and hasn't for so long is silent; comfort noise comes more often (RFC 3389)."""

_JITTER_BUFFER: Final = 2.0  # of a receiver, in multiples of the jitter, as adaptive ones do


class Heard(NamedTuple):
    """What came from one side, over a whole call."""

    packets: int
    octets: int
    lost: int
    loss: float  # share of what was sent
    jitter_ms: float  # mean over packets
    round_trip_ms: float | None  # mean over reports, to this side
    rating: float
    mos: float
    dropped: int


class Quality:
    """The measurements of one side's stream."""

    __slots__ = (
        "_dropped",
        "_jitter_sum",
        "_lost",
        "_octets",
        "_packets",
        "_round_trip_sum",
        "_round_trips",
        "silent_s",
    )

    def __init__(self) -> None:
        self._packets = 0
        self._octets = 0
        self._lost = 0
        self._dropped = 0
        self._jitter_sum = 0.0
        self._round_trip_sum = 0.0
        self._round_trips = 0
        self.silent_s = 0.0  # since the last packet

    def measured(self, stats: MediaStats) -> None:
        """What came since the last of these."""
        self._packets += stats.packets
        self._octets += stats.octets
        self._lost += stats.lost
        self._dropped += stats.dropped
        self._jitter_sum += stats.jitter_ms * stats.packets
        if stats.round_trip_ms is not None:
            self._round_trip_sum += stats.round_trip_ms
            self._round_trips += 1
        self.silent_s = stats.silent_s

    @property
    def round_trip_ms(self) -> float | None:
        """To this side, the mean over reports."""
        return self._round_trip_sum / self._round_trips if self._round_trips else None

    def is_silent(self, should_send: bool) -> bool:
        """Whether nothing comes that should: on hold nothing has to."""
        return should_send and self.silent_s >= SILENT_S

    def heard(self, codec: bytes, second_codec: bytes | None = None, beyond_ms: float = 0.0) -> Heard:
        """The sum so far.

        Parameters
        ----------
        codec, second_codec
            Names as in rtpmap, in lower case; the second is what it was transcoded to.
        beyond_ms
            Delay one way from the relay to who listens; half of the other side's round trip.
        """
        packets, lost = self._packets, max(self._lost, 0)
        loss = lost / (packets + lost) if packets + lost else 0.0
        jitter_ms = self._jitter_sum / packets if packets else 0.0
        round_trip_ms = self.round_trip_ms
        delay_ms = (round_trip_ms or 0.0) / 2.0 + beyond_ms + _JITTER_BUFFER * jitter_ms
        r = rating(delay_ms, loss, codec, second_codec) if packets else 0.0
        return Heard(packets, self._octets, lost, loss, jitter_ms, round_trip_ms, r, mos(r), self._dropped)


def is_one_way(one: Quality, other: Quality, one_should: bool, other_should: bool) -> bool:
    """Whether exactly one of two sides is heard though both should be: what users call one-way audio."""
    return one_should and other_should and one.is_silent(True) != other.is_silent(True)
