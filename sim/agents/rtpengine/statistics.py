"""What a modelled rtpengine counts in a call, and says of it as the real one does (NG protocol, ``query``)."""

from __future__ import annotations

from typing import Final

from engine.media.call import RelayedCall
from engine.media.ng.bencode import Told
from engine.media.offer_answer import OTHER, SIDES, Side
from engine.media.quality import Heard, Quality
from engine.media.rules import MediaStats, Port

_CODECS: Final = {b"opus": "opus/48000/2"}
_SSRC: Final[dict[Side, int]] = {"caller": 1, "callee": 2}


class Counted:
    """The figures of each side's audio. Reports of both sides (RTCP) are taken to come as their packets do."""

    def __init__(self) -> None:
        self._ports: dict[Port, Side] = {}
        self._speech: dict[Side, bytes] = {}
        self._qualities: dict[Side, Quality] = {side: Quality() for side in SIDES}

    def look(self, call: RelayedCall) -> None:
        """What was agreed may have changed."""
        for side, stream, end in call.ends():
            if stream.kind == b"audio":
                self._ports[end.port] = side
                self._speech[side] = stream.speech(side)[0]

    def measured(self, stats: MediaStats) -> None:
        side = self._ports.get(stats.port)
        if side is not None:
            self._qualities[side].measured(stats)

    def told(self) -> dict[str, Told]:
        """``tags`` and ``SSRC`` of an answer to ``query`` or ``delete``."""
        heard = {side: quality.heard(self._speech.get(side, b"")) for side, quality in self._qualities.items()}
        reports: dict[str, Told] = {}
        if all(each.round_trip_ms is not None for each in heard.values()):  # else there is no MOS, and no entry
            reports = {f"{_SSRC[side]}": _report(heard[OTHER[side]], heard[side]) for side in SIDES}
        return {"tags": {side: self._tag(side, heard[side]) for side in self._speech}, "SSRC": reports}

    def _tag(self, side: Side, heard: Heard) -> Told:
        speech = self._speech[side]
        stream: dict[str, Told] = {
            "flags": ("RTP", "filled"),
            "stats": {"packets": heard.packets, "bytes": heard.octets, "errors": heard.dropped},
        }
        media: dict[str, Told] = {"index": 1, "type": "audio", "streams": (stream,)}
        if heard.packets:
            stream["SSRC"] = _SSRC[side]
            media["codec"] = _CODECS.get(speech, f"{speech.decode('ascii').upper()}/8000")
        return {"tag": side, "medias": (media,)}


def _report(reached: Heard, own: Heard) -> Told:
    """What a side has reported: how it was ``reached``, and its own round trip."""
    block = {
        "MOS": round(10 * reached.mos),
        "round-trip time": round(1000 * ((reached.round_trip_ms or 0.0) + (own.round_trip_ms or 0.0))),
        "round-trip time leg": round(1000 * (own.round_trip_ms or 0.0)),
        "jitter": round(reached.jitter_ms),
        "packet loss": round(100 * reached.loss),
    }
    return {
        "cumulative loss": reached.lost,
        "average MOS": block | {"samples": 1},
        "MOS progression": {"interval": 0, "entries": (block,)},
    }
