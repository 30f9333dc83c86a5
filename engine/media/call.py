"""One relayed call, or one branch of a forked one: descriptions in, descriptions and orders to the data plane out.

The edge hands it each description that passes, and each final response without one; it gives back the body to send
on, and the effects. Each side sees us alone: our addresses, keys, names and session version. Nothing of a refused
request stays: what the ends have heard changes when an exchange is answered, not when it is offered.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from engine.media.codecs import Codec, CodecPlan, plan, read_codecs, to_offer, write_codecs
from engine.media.conversation import Conversation, nothing_left
from engine.media.endpoint import Endpoint
from engine.media.offer_answer import OTHER, Carrier, Role, Side
from engine.media.profiles import Local, Remote, offering, read_remote, write_local
from engine.media.rules import BindPorts, MediaEffect
from engine.media.sdp.description import Description, MediaSection, parse
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings, Party
from engine.media.stream import Stream, StreamOffer, both_know_feedback
from engine.media.streams import CallStreams
from engine.sip.errors import SipError


class Rewritten(NamedTuple):
    """What becomes of a body: the description to send on, None where it is to be left out.

    ``faults`` are rules that a peer broke and that were forgiven.
    """

    body: bytes | None
    effects: list[MediaEffect]
    faults: tuple[str, ...] = ()


class Parted(NamedTuple):
    """One side of a call, to be joined with one of another call (``engine.media.joined``)."""

    call_id: str
    place: int  # of the audio's m= line
    stream: Stream
    side: Side  # in the stream
    party: Party
    talk: Conversation
    talk_side: Side  # in the talk: another one where the stream was joined before
    told: bytes  # the description that it was given last


class RelayedCall(CallStreams):
    """The media of one caller and one callee."""

    __slots__ = (
        "_owed",
        "_parties",
        "_random",
        "_talk",
        "settings",
    )

    def __init__(
        self, call_id: str, caller: Party, callee: Party, settings: MediaSettings, random: Random
    ) -> None:
        super().__init__(call_id)
        self._parties: dict[Side, Party] = {"caller": caller, "callee": callee}
        self.settings = settings  # may be replaced: they hold for what is offered from then on
        self._random = random
        self._talk = Conversation({side: party.kind for side, party in self._parties.items()}, settings, random)
        self._owed: list[MediaEffect] = []  # of a description that was half taken: they go with the next

    def described(self, carrier: Carrier, tag: str, text: bytes, now: float) -> Rewritten:
        """A message carries a description. ``tag`` is the callee's, "" where the message has none yet.

        Raises
        ------
        SdpError
            400 or 488: a request is to be refused so; a response can't be sent on.
        OfferPendingError
            491 or 500 for the request.
        PortsExhaustedError
            503 for the request.
        """
        description = parse(text, self.settings.limits)
        said = self._talk.said(carrier, tag, description)
        if said is None:
            return Rewritten(None, [], ("more forks than can be followed",))
        faults = [said.fault] if said.fault else []
        side = carrier.sender
        if said.role is Role.STRAY:
            return Rewritten(None, [], tuple(faults))
        if said.role is Role.REPEAT:
            return Rewritten(self._talk.repeated(tag, side), [], tuple(faults))
        effects = self._owed
        try:
            if said.role is Role.OFFER:
                out = self._offer(side, description, effects, now)
            else:
                out = self._answer(side, description, said.role is Role.ANSWER, effects, faults, now)
        except SipError:
            self._talk.unsaid(carrier, tag)
            raise
        self._owed = []
        body = bytes(out)
        self._talk.remember(tag, side, body)
        return Rewritten(body, effects, tuple(faults))

    def ended(self, carrier: Carrier, tag: str) -> None:
        """A final response, or an ACK, came without a description: an offer that it leaves open is void."""
        self._talk.ended(carrier, tag)

    def told(self, side: Side) -> bytes:
        """The description that a side was given last, empty where there was none."""
        return self._talk.told(side)

    def part(self, side: Side) -> Parted:
        """Give away our end towards a side, with what it was told; ``release`` gives the rest back.

        Raises
        ------
        SdpError
            488 where there is no audio to go on with.
        """
        told = self._talk.told(side)
        for place, stream in self._streams.items():
            if told and stream.kind == b"audio" and stream.offerer is not None:
                return Parted(self.call_id, place, stream, side, self._parties[side], self._talk, side, told)
        raise SdpError("no audio that could go on", 488)

    def release(self, now: float) -> list[MediaEffect]:
        effects, self._owed = self._owed, []
        return effects + super().release(now)

    # --- offers ---

    def _offer(self, side: Side, description: Description, effects: list[MediaEffect], now: float) -> Description:
        """What the other side is offered."""
        out = description.copy()
        opened: list[int] = []
        told: list[Local] = []
        feedback = False
        refusal: SdpError | None = None
        try:
            for index, (section, place) in enumerate(zip(description.media, out.media, strict=True)):
                try:
                    self._talk.check_wanted(side, description, index, self._offered())
                    offer, local = self._offer_stream(side, description, section, place, index, opened, now)
                except SdpError as error:
                    if error.status != 488:
                        raise
                    refusal = refusal or error
                    self._leave_out(index, place)
                    continue
                told.append(local)
                feedback = feedback or both_know_feedback(offer.remote.profile, local.profile)
            if nothing_left(description, told):
                raise refusal or SdpError("no stream offered", 488)
        except SipError:
            for index in opened:
                self._streams.pop(index).release(now)  # nothing was bound yet
            raise
        for index in opened:
            effects += [BindPorts(end.port) for end in self._streams[index].ends.values()]
        self._talk.offered(side, description)
        self._finish(OTHER[side], out, told, feedback)
        return out

    def _offer_stream(
        self,
        side: Side,
        description: Description,
        section: MediaSection,
        place: MediaSection,
        index: int,
        opened: list[int],
        now: float,
    ) -> tuple[StreamOffer, Local]:
        """Write one stream for the other side. Raises before anything of it has changed."""
        other = OTHER[side]
        remote = read_remote(description, section)
        codecs: tuple[Codec, ...] = ()
        told: tuple[Codec, ...] = ()
        if section.media.kind == b"audio":
            codecs = read_codecs(section)
            told = to_offer(codecs, self._parties[other].kind, self.settings.codecs)
            write_codecs(place, told)
        stream = self._streams.get(index)
        if stream is None:
            stream = self._streams[index] = self._open(section.media.kind, index, now)
            opened.append(index)
        profile = offering(self._parties[other].kind, self.settings.profiles)
        local = stream.ends[other].offer(profile, remote.direction)
        stream.offer = StreamOffer(side, remote, codecs, told)
        write_local(place, local, remote.profile)
        return stream.offer, local

    def _offered(self) -> dict[int, bool]:
        """The streams that stand, and whether each has an offer."""
        return {index: stream.offer is not None for index, stream in self._streams.items()}

    def _leave_out(self, index: int, place: MediaSection) -> None:
        place.reject()
        stream = self._streams.get(index)
        if stream is not None:
            stream.offer = None

    def _open(self, kind: bytes, index: int, now: float) -> Stream:
        """Take ports for a new stream on both sides, or on none."""
        mid = b"%d" % index
        ends: dict[Side, Endpoint] = {}
        try:
            for side, party in self._parties.items():
                port = party.ports.take(now)
                ends[side] = Endpoint(party, port, mid, self.settings, self._random)
        except SipError:
            Stream(kind, ends).release(now)
            raise
        return Stream(kind, ends)

    # --- answers ---

    def _answer(
        self,
        side: Side,
        description: Description,
        final: bool,
        effects: list[MediaEffect],
        faults: list[str],
        now: float,
    ) -> Description:
        """What the side that offered is answered."""
        out = description.copy()
        told: list[Local] = []
        feedback = False
        for index, (section, place) in enumerate(zip(description.media, out.media, strict=True)):
            stream = self._streams.get(index)
            offer = None if stream is None else stream.offer
            if stream is None or offer is None or section.rejected:
                self._talk.answer_no(side, index, place)
                if stream is not None and final:
                    effects += self._streams.pop(index).release(now)
                continue
            remote, local = self._answer_stream(side, stream, offer, description, section, place, faults, now)
            effects += stream.effects(self.call_id)
            told.append(local)
            feedback = feedback or both_know_feedback(remote.profile, local.profile)
        self._finish(OTHER[side], out, told, feedback)
        return out

    def _answer_stream(
        self,
        side: Side,
        stream: Stream,
        offer: StreamOffer,
        description: Description,
        section: MediaSection,
        place: MediaSection,
        faults: list[str],
        now: float,
    ) -> tuple[Remote, Local]:
        """Take one stream's answer, and write it for the side that offered."""
        remote = read_remote(description, section)
        remote = remote._replace(direction=remote.direction.within(offer.remote.direction))
        outcome: CodecPlan | None = None
        answered: tuple[Codec, ...] = ()
        if stream.kind == b"audio":
            answered = read_codecs(section)
            outcome = plan(offer.codecs, offer.told, answered)
            write_codecs(place, outcome.told)
        offerer = stream.ends[offer.offerer]
        if not stream.is_agreed(offer, remote):
            heard = (stream.ends[side].hear_answer(remote, now), offerer.hear_offer(offer.remote, now))
            faults += [f"media target refused: {refusal}" for refusal in heard if refusal]
            stream.agree(offer, remote, outcome, answered)
        local = offerer.answer(offer.remote, remote.direction)
        write_local(place, local, remote.profile)
        return remote, local

    def _finish(self, side: Side, out: Description, told: list[Local], feedback: bool) -> None:
        self._talk.finish(side, out, told, self._parties[side].host, feedback=feedback)
