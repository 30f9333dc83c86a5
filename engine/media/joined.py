"""Two agents whose calls ended at one node that is gone: an end of each call, which from now on hear each other.

Neither agent notices: our ports, keys and names towards it stay as they are. What an agent offers from now on is
answered in the name of the other one, from what that one has said last.
"""

from __future__ import annotations

from typing import Final

from engine.media.call import Parted
from engine.media.codecs import read_codecs, write_codecs
from engine.media.offer_answer import OTHER, Side, align
from engine.media.profiles import read_remote, write_local
from engine.media.rules import MediaEffect
from engine.media.sdp.description import parse
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings
from engine.media.stream import Stream
from engine.media.streams import CallStreams

# What an offer says of its own packets and is nothing that the answer should repeat.
_OWN: Final = (b"ssrc", b"ssrc-group", b"msid", b"rid", b"simulcast", b"extmap", b"rtcp-fb")


class JoinedCall(CallStreams):
    """``one`` is the caller here and ``other`` the callee, whoever called.

    Raises
    ------
    SdpError
        488 where the two have no codec in common, and none to transcode with.
    """

    __slots__ = ("_halves", "_settings", "_told")

    def __init__(self, one: Parted, other: Parted, settings: MediaSettings) -> None:
        super().__init__(one.call_id)
        self._settings = settings
        call_ids = (one.call_id, other.call_id)
        self._streams[0] = Stream.joining(one.stream, one.side, other.stream, other.side, call_ids)
        sides: dict[Side, Parted] = {"caller": one, "callee": other}
        self._halves = sides
        self._told = {side: each.told for side, each in sides.items()}

    def effects(self) -> list[MediaEffect]:
        """What has to change in the data plane."""
        return self._streams[0].effects(self.call_id)

    def told(self, side: Side) -> bytes:
        """The description that a side was given last."""
        return self._told[side]

    def part(self, side: Side) -> Parted:
        """Give away our end towards a side once more; ``release`` gives the rest back."""
        half = self._halves[side]
        return half._replace(stream=self._streams[0], side=side, told=self._told[side])

    def offer(self, side: Side) -> bytes:
        """An offer to a side in the name of the other: what it was told last, as it holds now.

        An answer that it was given may stand for less than an offer must: of keys and of DTLS' parts it names one.
        """
        half, stream = self._halves[side], self._streams[0]
        out = parse(self._told[side], self._settings.limits)
        place, end, far = out.media[half.place], stream.ends[side], stream.ends[OTHER[side]].remote
        profile = end.profile
        if profile is None or far is None:
            raise SdpError("no audio that could go on", 488)
        local = end.offer(profile, far.direction)
        spoken = stream.spoken(side)
        if {codec[:4] for codec in read_codecs(place)} != {codec[:4] for codec in spoken}:
            write_codecs(place, spoken)
        write_local(place, local, profile)
        half.talk.finish(half.talk_side, out, [local], half.party.host, feedback=False)
        self._told[side] = bytes(out)
        return self._told[side]

    def answered(self, side: Side, text: bytes, now: float) -> list[MediaEffect]:
        """A side answers what it was offered so.

        Raises
        ------
        SdpError
            400 or 488: it can't be used.
        """
        half, stream = self._halves[side], self._streams[0]
        description = parse(text, self._settings.limits)
        align(description, parse(self._told[side], self._settings.limits))
        section = description.media[half.place]
        if section.rejected:
            raise SdpError("the audio that was agreed is not answered", 488)
        remote = read_remote(description, section)
        stream.ends[side].hear_answer(remote, now)
        stream.confirm(side, read_codecs(section))
        return self.effects()

    def answer(self, side: Side, text: bytes, now: float) -> tuple[bytes, list[MediaEffect]]:
        """Answer an offer in the name of the other side.

        Raises
        ------
        SdpError
            400 or 488: the offer is to be refused so.
        """
        half, stream = self._halves[side], self._streams[0]
        description = parse(text, self._settings.limits)
        if half.place >= len(description.media) or description.media[half.place].rejected:
            raise SdpError("the audio that was agreed is not offered", 488)
        half.talk.offered(half.talk_side, description)
        out = description.copy()
        for index, place in enumerate(out.media):
            if index != half.place:
                half.talk.answer_no(OTHER[half.talk_side], index, place)
        section, place = description.media[half.place], out.media[half.place]
        remote = read_remote(description, section)
        outcome = stream.renew(side, read_codecs(section))
        end, far = stream.ends[side], stream.ends[OTHER[side]].remote
        end.hear_offer(remote, now)
        direction = remote.direction if far is None else far.direction.within(remote.direction)
        local = end.answer(remote, direction)
        place.drop(_OWN)
        write_codecs(place, outcome.told)
        write_local(place, local, remote.profile)
        half.talk.finish(half.talk_side, out, [local], half.party.host, feedback=False)
        self._told[side] = bytes(out)
        return self._told[side], self.effects()
