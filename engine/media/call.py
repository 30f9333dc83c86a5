"""One relayed call, or one branch of a forked one: descriptions in, descriptions and orders to the data plane out.

The edge hands it each description that passes, and each final response without one; it gives back the body to send
on, and the effects. Each side sees us alone: our addresses, keys, names and session version. Nothing of a refused
request stays: what the ends have heard changes when an exchange is answered, not when it is offered.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from engine.boundary import NEVER
from engine.media.codecs import Codec, CodecPlan, plan, read_codecs, to_offer, write_codecs
from engine.media.conversation import Conversation, nothing_left
from engine.media.endpoint import Endpoint
from engine.media.offer_answer import OTHER, Carrier, Role, Side
from engine.media.profiles import Local, Remote, offering, read_remote, write_local
from engine.media.rules import BindPorts, MediaEffect, MediaPacket
from engine.media.sdp.description import Description, MediaSection, parse
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings, Party
from engine.media.stream import Stream, StreamOffer, both_know_feedback
from engine.sip.errors import SipError


class Rewritten(NamedTuple):
    """What becomes of a body: the description to send on, None where it is to be left out.

    ``faults`` are rules that a peer broke and that were forgiven.
    """

    body: bytes | None
    effects: list[MediaEffect]
    faults: tuple[str, ...] = ()


class RelayedCall:
    """The media of one caller and one callee. ``release`` must be called at the end, whatever came before."""

    __slots__ = (
        "_owed",
        "_parties",
        "_random",
        "_settings",
        "_streams",
        "_talk",
        "call_id",
    )

    def __init__(
        self, call_id: str, caller: Party, callee: Party, settings: MediaSettings, random: Random
    ) -> None:
        self.call_id = call_id
        self._parties: dict[Side, Party] = {"caller": caller, "callee": callee}
        self._settings = settings
        self._random = random
        self._talk = Conversation({side: party.kind for side, party in self._parties.items()}, settings, random)
        self._streams: dict[int, Stream] = {}  # by the place of the m= line
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
        description = parse(text, self._settings.limits)
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

    def packet(self, event: MediaPacket, now: float) -> tuple[list[MediaEffect], str]:
        """A packet came that no rule covers: the effects, and why it was not believed ("" where it was)."""
        for stream in self._streams.values():
            for side, end in stream.ends.items():
                if event.port in (end.port, end.port._replace(number=end.port.number + 1)):
                    reply, refused = end.packet(event, stream.payload_types(side), now)
                    effects: list[MediaEffect] = [] if reply is None else [reply]
                    if not refused and stream.offerer is not None:
                        effects += stream.effects(self.call_id)
                    return effects, refused
        return [], "port of no stream"

    def ends(self) -> Iterator[tuple[Side, Stream, Endpoint]]:
        """Our ends of all streams."""
        for stream in self._streams.values():
            for side, end in stream.ends.items():
                yield side, stream, end

    def tick(self, now: float) -> list[MediaEffect]:
        """The deadline came."""
        effects: list[MediaEffect] = []
        for stream in self._streams.values():
            locked = [end.tick(now) for end in stream.ends.values()]
            if any(locked):
                effects += stream.effects(self.call_id)
        return effects

    def deadline(self) -> float:
        """When a source that was learnt is to be decided on."""
        return min(
            (end.deadline() for stream in self._streams.values() for end in stream.ends.values()), default=NEVER
        )

    def release(self, now: float) -> list[MediaEffect]:
        """The call is over, or never came to be: its ports rest."""
        effects, self._owed = self._owed, []
        for stream in self._streams.values():
            effects += stream.release(now)
        self._streams.clear()
        return effects

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
            told = to_offer(codecs, self._parties[other].kind, self._settings.codecs)
            write_codecs(place, told)
        stream = self._streams.get(index)
        if stream is None:
            stream = self._streams[index] = self._open(section.media.kind, index, now)
            opened.append(index)
        profile = offering(self._parties[other].kind, self._settings.profiles)
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
                ends[side] = Endpoint(party, port, mid, self._settings, self._random)
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
        if stream.kind == b"audio":
            outcome = plan(offer.codecs, offer.told, read_codecs(section))
            write_codecs(place, outcome.told)
        offerer = stream.ends[offer.offerer]
        if not stream.is_agreed(offer, remote):
            heard = (stream.ends[side].hear_answer(remote, now), offerer.hear_offer(offer.remote, now))
            faults += [f"media target refused: {refusal}" for refusal in heard if refusal]
            stream.agree(offer, remote, outcome)
        local = offerer.answer(offer.remote, remote.direction)
        write_local(place, local, remote.profile)
        return remote, local

    def _finish(self, side: Side, out: Description, told: list[Local], feedback: bool) -> None:
        self._talk.finish(side, out, told, self._parties[side].host, feedback=feedback)
