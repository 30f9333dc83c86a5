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
from engine.media.endpoint import Endpoint
from engine.media.offer_answer import OTHER, Carrier, Negotiation, Role, Side, Signature
from engine.media.profiles import (
    Local,
    Remote,
    offering,
    read_remote,
    relayable,
    write_local,
    write_session,
)
from engine.media.rules import BindPorts, MediaEffect, MediaPacket
from engine.media.sdp.description import Description, MediaSection, parse
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings, Party
from engine.media.stream import Stream, StreamOffer, both_know_feedback
from engine.sip.errors import SipError

_MOST_FORKS = 16


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
        "_bundled",
        "_bundles",
        "_last",
        "_mids",
        "_negotiations",
        "_owed",
        "_parties",
        "_random",
        "_settings",
        "_signatures",
        "_streams",
        "call_id",
    )

    def __init__(
        self, call_id: str, caller: Party, callee: Party, settings: MediaSettings, random: Random
    ) -> None:
        self.call_id = call_id
        self._parties: dict[Side, Party] = {"caller": caller, "callee": callee}
        self._settings = settings
        self._random = random
        self._negotiations: dict[str, Negotiation] = {"": Negotiation()}
        self._signatures: dict[Side, Signature] = {
            side: Signature(random.getrandbits(62)) for side in self._parties
        }
        self._streams: dict[int, Stream] = {}  # by the place of the m= line
        self._bundles: dict[Side, bool] = {}  # whether a side that has offered bundles
        self._bundled: set[Side] = set()  # sides that were told of a bundle
        self._mids: dict[Side, list[bytes | None]] = {}  # its names of the streams
        self._owed: list[MediaEffect] = []  # of a description that was half taken: they go with the next
        self._last: dict[tuple[str, Side], bytes] = {}  # what was sent on of a side's last description

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
        negotiation = self._negotiation(tag)
        if negotiation is None:
            return Rewritten(None, [], ("more forks than can be followed",))
        said = negotiation.said(carrier, description)
        faults = [said.fault] if said.fault else []
        side = carrier.sender
        if said.role is Role.STRAY:
            return Rewritten(None, [], tuple(faults))
        if said.role is Role.REPEAT:
            return Rewritten(self._last.get((tag, side)) or self._last.get(("", side)), [], tuple(faults))
        effects = self._owed
        try:
            if said.role is Role.OFFER:
                out = self._offer(side, description, effects, now)
            else:
                out = self._answer(side, description, said.role is Role.ANSWER, effects, faults, now)
        except SipError:
            if carrier.status == 0:
                negotiation.ended(Carrier(OTHER[side], carrier.method, carrier.cseq, 488))
            raise
        self._owed = []
        body = bytes(out)
        self._last[tag, side] = body
        return Rewritten(body, effects, tuple(faults))

    def ended(self, carrier: Carrier, tag: str) -> None:
        """A final response, or an ACK, came without a description: an offer that it leaves open is void."""
        negotiation = self._negotiations.get(tag)
        if negotiation is not None:
            negotiation.ended(carrier)
        if carrier.status >= 300:  # the INVITE as a whole; a 2xx is of one fork alone, and others may follow
            self._negotiations[""].ended(carrier)

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
                    self._check_wanted(side, description, index)
                    offer, local = self._offer_stream(side, description, section, place, index, opened, now)
                except SdpError as error:
                    if error.status != 488:
                        raise
                    refusal = refusal or error
                    self._leave_out(index, place)
                    continue
                told.append(local)
                feedback = feedback or both_know_feedback(offer.remote.profile, local.profile)
            if not told and not (description.media and all(section.rejected for section in description.media)):
                raise refusal or SdpError("no stream offered", 488)
        except SipError:
            for index in opened:
                self._streams.pop(index).release(now)  # nothing was bound yet
            raise
        for index in opened:
            effects += [BindPorts(end.port) for end in self._streams[index].ends.values()]
        self._mids[side] = [section.attribute(b"mid") for section in description.media]
        self._bundles[side] = any(
            group.startswith(b"BUNDLE") for group in description.session.attributes(b"group")
        )
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

    def _check_wanted(self, side: Side, description: Description, index: int) -> None:
        """Whether both sides may have this stream.

        Raises
        ------
        SdpError
            488 where not.
        """
        section = description.media[index]
        kind = section.media.kind
        streams = self._settings.streams
        if section.rejected:
            raise SdpError("stream not wanted by who offers it", 488)
        if not relayable(section.media.protocol):
            raise SdpError("protocol of m= line not known", 488)
        if any(kind not in streams[party.kind] for party in self._parties.values()):
            raise SdpError("kind of stream not relayed", 488)
        if index not in self._streams and side in self._bundled:
            raise SdpError("stream that would have to join the bundle", 488)
        if index not in self._streams and len(self._streams) >= self._settings.most_streams:
            raise SdpError("more streams than are relayed", 488)
        # FreeSWITCH's way to offer SRTP or RTP: two m= lines for the one port. The first that can be met is taken.
        for before, earlier in enumerate(description.media[:index]):
            taken = self._streams.get(before)
            if earlier.media[:2] == section.media[:2] and section.media.port != 9 and taken and taken.offer:
                raise SdpError("alternative to a stream that is taken", 488)

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
                self._answer_no(side, index, place)
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

    def _answer_no(self, side: Side, index: int, place: MediaSection) -> None:
        """Reject a stream under the name that the side which offered it gave."""
        place.reject()
        place.drop((b"mid",))
        mids = self._mids.get(OTHER[side], [])
        if index < len(mids) and (mid := mids[index]) is not None:
            place.add(b"mid", mid)

    # --- both ---

    def _finish(self, side: Side, out: Description, told: list[Local], feedback: bool) -> None:
        """Write for a side what holds for all streams."""
        host = self._parties[side].host
        named = [local.mid for local in told if local.mid is not None]
        bundle = None
        # A bundle of one, for who insists on a bundle. With more streams there is none: Chromium takes a stream
        # that stays outside of its bundle at first, and then refuses every further answer.
        if named and self._bundles.get(side, True) and (len(told) == 1 or side in self._bundled):
            bundle = named[0]
            self._bundled.add(side)
        ice = any(local.ice is not None for local in told)
        write_session(out, host, ice=ice, bundle=bundle, feedback=feedback)
        self._signatures[side].sign(out, host)

    def _negotiation(self, tag: str) -> Negotiation | None:
        """The dialog with this tag of the callee; a new one begins where the INVITE left off."""
        negotiation = self._negotiations.get(tag)
        if negotiation is None and len(self._negotiations) < _MOST_FORKS:
            negotiation = self._negotiations[tag] = self._negotiations[""].fork()
        return negotiation
