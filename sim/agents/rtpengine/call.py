"""One call at a modelled rtpengine: its flags become profile and codecs of a relayed call of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Final, Literal

from engine.media.call import RelayedCall
from engine.media.codecs import CodecPolicy
from engine.media.ng.bencode import Value
from engine.media.offer_answer import OTHER, Carrier, Side
from engine.media.ports import PortPool
from engine.media.profiles import Kind
from engine.media.rules import MediaEffect
from engine.media.sdp.attributes import Fingerprint
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings, Party
from engine.media.targets import Targets
from sim.agents.rtpengine.config import RtpengineInterface
from sim.agents.rtpengine.statistics import Counted

# By what m= line says and whether ICE is spoken, the profile that a side is offered.
_PROFILES: Final[Mapping[tuple[bytes, bool], str]] = {
    (b"RTP/AVP", False): "rtp",
    (b"RTP/SAVP", False): "srtp",
    (b"UDP/TLS/RTP/SAVP", False): "dtls",
    (b"UDP/TLS/RTP/SAVPF", True): "webrtc",
}


class Places:
    """The interfaces of one rtpengine, and its free ports. The first one serves where an order names none."""

    def __init__(self, interfaces: tuple[RtpengineInterface, ...], random: Random) -> None:
        self._interfaces = {each.name: each for each in interfaces}
        self._first = interfaces[0].name
        self._pools = {each.name: PortPool(each.name, each.low, each.high, random) for each in interfaces}

    def party(self, kind: Kind, name: bytes) -> Party:
        """A side that is reached over this interface."""
        wanted = name.decode("utf-8", "replace") or self._first
        place = self._interfaces.get(wanted)
        if place is None:
            raise SdpError("Unknown interface")
        return Party(kind, place.name, place.host, self._pools[place.name])


class ModelledCall:
    """Built from the first offer. Tags are the two sides' for as long as it lasts."""

    def __init__(
        self, call_id: str, order: Mapping[bytes, Value], places: Places, fingerprint: Fingerprint, random: Random
    ) -> None:
        self._profiles: dict[Kind, str] = {}
        self._offerer = text(order, b"from-tag")  # who began
        self._number = 0
        self._open: Side | None = None  # who has offered last
        self._answered = False
        settings = MediaSettings(
            fingerprint=fingerprint,
            profiles=self._profiles,
            codecs=_codec_policy(order),
            targets=Targets(loopback=True),
        )
        sender, receiver = (texts(order, b"direction") or [b"", b""])[:2]
        kind = self._ask_for(order)
        caller, callee = places.party("softphone", sender), places.party(kind, receiver)
        self._call = RelayedCall(call_id, caller, callee, settings, random)
        self._tags = {self._offerer}
        self.counted = Counted()

    def knows(self, tag: bytes) -> bool:
        """Whether a side of this name has spoken; ``delete`` names one, or none."""
        return not tag or tag in self._tags

    @property
    def relayed(self) -> RelayedCall:
        """What the media are decided by."""
        return self._call

    def offer(self, order: Mapping[bytes, Value], now: float) -> tuple[bytes, list[MediaEffect]]:
        """An offer; one that was open before is over, by the answer that it had, or by none."""
        if self._open is not None:
            status = 200 if self._answered else 488
            self._call.ended(Carrier(OTHER[self._open], "INVITE", self._number, status), "")
        self._number += 1
        self._answered = False
        self._open = "caller" if text(order, b"from-tag") == self._offerer else "callee"
        self._tags.add(text(order, b"from-tag"))
        self._ask_for(order)
        self._call.settings = replace(self._call.settings, codecs=_codec_policy(order))
        return self._described(Carrier(self._open, "INVITE", self._number), text(order, b"sdp"), now)

    def _ask_for(self, order: Mapping[bytes, Value]) -> Kind:
        """Note the profile in which an offer is to be told, and say what kind of side speaks it."""
        kind: Kind = "browser" if text(order, b"ICE") == b"force" else "softphone"
        profile = _PROFILES.get((text(order, b"transport-protocol") or b"RTP/AVP", kind == "browser"))
        if profile is None:
            raise SdpError("transport protocol that the model doesn't know")
        self._profiles |= {"browser": profile, "softphone": profile, "node": profile}
        return kind

    def answer(self, order: Mapping[bytes, Value], now: float) -> tuple[bytes, list[MediaEffect]]:
        """An answer to the open offer; another may follow, and then holds, as the one of a fork."""
        if self._open is None:
            raise SdpError("Unknown from-tag")
        self._answered = True
        self._tags.add(text(order, b"to-tag"))
        return self._described(Carrier(OTHER[self._open], "INVITE", self._number, 183), text(order, b"sdp"), now)

    def _described(self, carrier: Carrier, sdp: bytes, now: float) -> tuple[bytes, list[MediaEffect]]:
        rewritten = self._call.described(carrier, "", sdp, now)
        if rewritten.body is None:
            raise SdpError("Error rewriting SDP")
        return rewritten.body, rewritten.effects


def _codec_policy(order: Mapping[bytes, Value]) -> CodecPolicy:
    """What ``codec`` says, in the engine's terms; without it, codecs stay as they are."""
    codec = order.get(b"codec")
    if not isinstance(codec, dict):
        return CodecPolicy(transcode="never")
    adds = b"transcode" in codec
    listed = texts(codec, b"transcode") or texts(codec, b"offer")
    names = tuple(name.partition(b"/")[0].decode("utf-8", "replace").lower() for name in listed)
    transcode: Literal["always", "never"] = "always" if adds else "never"
    return CodecPolicy(force=names, order=names, transcode=transcode)


def text(order: Mapping[bytes, Value], key: bytes) -> bytes:
    """The string under a key; empty where there is none."""
    value = order.get(key, b"")
    return value if isinstance(value, bytes) else b""


def texts(order: Mapping[bytes, Value], key: bytes) -> list[bytes]:
    """The strings of the list under a key."""
    value = order.get(key, [])
    return [each for each in value if isinstance(each, bytes)] if isinstance(value, list) else []
