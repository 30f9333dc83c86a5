"""What an rtpengine says of a call's media at its end, in the terms of the built-in relay.

rtpengine counts packets itself; loss, jitter and round trips it has from the reports of the two sides (RTCP). A
report stands under the SSRC of who gave it, and says how that side was reached: what it lost of the other's
packets. So what is told of a side's stream is what the other one has reported, but for the round trip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from engine.media.ng.bencode import Value
from engine.media.ng.commands import CallName
from engine.media.offer_answer import OTHER, SIDES, Side
from engine.media.quality import Quality
from engine.media.rules import MediaStats, Port
from engine.notes import MediaEnded

_NOWHERE = Port("", 0)
_MOST_LOST = 2**24  # of RFC 3550 §6.4.1: 24 bits, signed


class _Report(NamedTuple):
    """The reports of one side, taken together."""

    lost: int
    jitter_ms: float
    round_trip_ms: float | None


class Measured(NamedTuple):
    """What came from one side. ``codec`` is a name as in rtpmap, in lower case; "" where nothing came."""

    codec: bytes
    stats: MediaStats
    is_reported: bool  # whether the other side has said how it heard this


class Statistics:
    """The sum over all rtpengines that a call has been at."""

    __slots__ = ("_codecs", "_qualities", "_reported")

    def __init__(self) -> None:
        self._codecs: dict[Side, bytes] = {}
        self._qualities: dict[Side, Quality] = {}
        self._reported: set[Side] = set()  # whose packets the other side has reported on

    def add(self, name: CallName, answer: Mapping[bytes, Value]) -> None:
        """An answer to ``delete``."""
        for side, measured in read_statistics(name, answer).items():
            self._qualities.setdefault(side, Quality()).measured(measured.stats)
            if measured.codec:
                self._codecs[side] = measured.codec
            if measured.is_reported:
                self._reported.add(side)

    def told(self, call_id: str, duration_s: float) -> Iterator[MediaEnded]:
        """What is to be told of each side, as of the built-in relay's. How well one was heard nobody knows where
        the other has never said."""
        for side, quality in self._qualities.items():
            codec, others = self._codecs.get(side, b""), self._codecs.get(OTHER[side], b"")
            beyond = self._qualities.get(OTHER[side])
            beyond_ms = ((beyond.round_trip_ms if beyond is not None else None) or 0.0) / 2.0
            heard = quality.heard(codec, others if others not in (b"", codec) else None, beyond_ms)
            yield MediaEnded(
                call_id,
                side,
                codec.decode("ascii", "replace"),
                duration_s,
                heard.packets,
                heard.octets,
                heard.lost,
                heard.jitter_ms,
                heard.round_trip_ms,
                heard.mos if side in self._reported else None,
                heard.dropped,
            )


def read_statistics(name: CallName, answer: Mapping[bytes, Value]) -> dict[Side, Measured]:
    """What an answer to ``delete`` or ``query`` says of each side's audio; the rest is passed over."""
    tags, reports = _table(answer, b"tags"), _table(answer, b"SSRC")
    names: dict[Side, bytes] = {"caller": name.caller.encode(), "callee": name.callee.encode()}
    audio = {side: _audio(_table(tags, names[side])) for side in SIDES}
    told = {side: _report(reports, audio[side]) for side in SIDES}
    found: dict[Side, Measured] = {}
    for side in SIDES:
        media = audio[side]
        if media is None:
            continue
        packets = octets = errors = 0
        for stream in _rtp(media):
            counted = _table(stream, b"stats")
            packets += _count(counted, b"packets")
            octets += _count(counted, b"bytes")
            errors += _count(counted, b"errors")
        heard, own = told[OTHER[side]], told[side]
        lost, jitter_ms = (heard.lost, heard.jitter_ms) if heard is not None else (0, 0.0)
        round_trip_ms = None if own is None else own.round_trip_ms
        codec = media.get(b"codec", b"")
        stats = MediaStats(_NOWHERE, packets, octets, lost, jitter_ms, round_trip_ms, 0.0, errors)
        found[side] = Measured(
            codec.partition(b"/")[0].lower() if isinstance(codec, bytes) and packets else b"",
            stats,
            heard is not None,
        )
    return found


def _audio(tag: Mapping[bytes, Value]) -> Mapping[bytes, Value] | None:
    return next((media for media in _tables(tag, b"medias") if media.get(b"type") == b"audio"), None)


def _rtp(media: Mapping[bytes, Value]) -> Iterator[Mapping[bytes, Value]]:
    for stream in _tables(media, b"streams"):
        flags = stream.get(b"flags")
        if isinstance(flags, list) and b"RTP" in flags:
            yield stream


def _report(reports: Mapping[bytes, Value], audio: Mapping[bytes, Value] | None) -> _Report | None:
    """What the side that speaks so has reported; None where it has not."""
    for stream in _rtp(audio) if audio is not None else ():
        said = _table(reports, b"%d" % _count(stream, b"SSRC"))
        blocks = list(_tables(_table(said, b"MOS progression"), b"entries"))
        if blocks:
            trips = [each for block in blocks if (each := _count(block, b"round-trip time leg"))]
            return _Report(
                min(_count(said, b"cumulative loss"), _MOST_LOST),
                sum(_count(block, b"jitter") for block in blocks) / len(blocks),
                sum(trips) / len(trips) / 1000.0 if trips else None,
            )
    return None


def _table(among: Mapping[bytes, Value], key: bytes) -> Mapping[bytes, Value]:
    value = among.get(key)
    return value if isinstance(value, dict) else {}


def _tables(among: Mapping[bytes, Value], key: bytes) -> Iterator[Mapping[bytes, Value]]:
    value = among.get(key)
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def _count(among: Mapping[bytes, Value], key: bytes) -> int:
    value = among.get(key)
    return max(value, 0) if isinstance(value, int) else 0
