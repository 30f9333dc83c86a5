"""The media of one call, or one branch of a forked one, at an rtpengine.

What each side is told is written here, as for the built-in relay; rtpengine is asked for what only it can know:
address, ports, keys, ICE names, and which codecs it brings together. Its own wording is not sent on, so that no
attribute of one side's transport ever reaches the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import NamedTuple, TypeAlias

from engine.boundary import Address
from engine.media.codecs import Codec, read_codecs, to_offer, write_codecs
from engine.media.conversation import Conversation, nothing_left
from engine.media.ng import commands
from engine.media.ng.bencode import Told
from engine.media.ng.commands import CallName, StreamShape
from engine.media.offer_answer import OTHER, SIDES, Carrier, Role, Side
from engine.media.profiles import Kind, Local, Profile, Remote, offering, read_remote, relayable, write_local
from engine.media.sdp.attributes import Direction
from engine.media.sdp.description import Description, MediaSection, parse
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings
from engine.media.stream import StreamOffer, both_know_feedback
from engine.sip.errors import SipError

Content: TypeAlias = dict[str, Told]
Write: TypeAlias = Callable[[Description], bytes]
"""Makes what is sent on of rtpengine's description; raises SdpError where that gives not what is needed."""


class NgSide(NamedTuple):
    """One side of a call; ``interface`` is rtpengine's, ``host`` where the side's messages come from."""

    kind: Kind
    interface: str
    host: str | None = None


class Question(NamedTuple):
    """What rtpengine must be asked before a description can be sent on, and what is made of its answer."""

    content: Content
    write: Write
    faults: tuple[str, ...]
    is_offer: bool


class Known(NamedTuple):
    """A description that can be sent on at once; None: the message goes without."""

    body: bytes | None
    faults: tuple[str, ...]


class Half(NamedTuple):
    """What goes on of a call when its other side is gone."""

    said: Description  # the side's last
    told: bytes  # what it was given last
    place: int  # of the audio's m= line
    spoken: tuple[Codec, ...]  # in its own numbers, best first
    link: Address  # where rtpengine takes the other side's packets


class _Stream:
    """One stream: how each side speaks, how we call it to each, and the offer that stands or stood last."""

    __slots__ = ("kind", "mids", "offer", "profiles")

    def __init__(self, kind: bytes) -> None:
        self.kind = kind
        self.profiles: dict[Side, Profile] = {}
        self.mids: dict[Side, bytes] = {}
        self.offer: StreamOffer | None = None


class NgCall:
    """The descriptions of one caller and one callee."""

    def __init__(
        self, name: CallName, sides: Mapping[Side, NgSide], settings: MediaSettings, random: Random
    ) -> None:
        self.name = name
        self._sides = sides
        self._settings = settings
        self._talk = Conversation({side: each.kind for side, each in sides.items()}, settings, random)
        self._streams: dict[int, _Stream] = {}
        self._hosts: dict[Side, str] = {}  # where each side was told that we are
        self.offered: Content | None = None  # what rtpengine was last asked of an offer
        self._tag = ""  # of the dialog in which an exchange was completed last

    def described(self, carrier: Carrier, tag: str, text: bytes) -> Question | Known:
        """A message carries a description. ``tag`` is the callee's, "" where the message has none yet.

        Raises
        ------
        SdpError
            400 or 488.
        OfferPendingError
            491 or 500.
        """
        description = parse(text, self._settings.limits)
        said = self._talk.said(carrier, tag, description)
        if said is None:
            return Known(None, ("more forks than can be followed",))
        faults: tuple[str, ...] = (said.fault,) if said.fault else ()
        side = carrier.sender
        if said.role is Role.STRAY:
            return Known(None, faults)
        if said.role is Role.REPEAT:
            return Known(self._talk.repeated(tag, side), faults)
        try:
            if said.role is Role.OFFER:
                content, write = self._offer(side, description)
            else:
                content, write = self._answer(side, description, final=said.role is Role.ANSWER)
            faults += self._redirect(side, description, content)
            if said.role is Role.OFFER:
                self.offered = content
            elif said.role is Role.ANSWER:
                self._tag = tag
        except SipError:
            self._talk.unsaid(carrier, tag)
            raise

        def written(given: Description) -> bytes:
            body = write(given)
            self._talk.remember(tag, side, body)
            return body

        return Question(content, written, faults, said.role is Role.OFFER)

    def refused(self, carrier: Carrier, tag: str) -> None:
        """What the last question needed was not given: its description is not sent on."""
        self._talk.unsaid(carrier, tag)

    def ended(self, carrier: Carrier, tag: str) -> bool:
        """A final response, or an ACK, came without a description: whether the last agreement holds again."""
        return self._talk.ended(carrier, tag)

    def last_said(self, side: Side, tag: str) -> bytes | None:
        """What a side has said last that was agreed on."""
        negotiation = self._talk.negotiation(tag)
        said = None if negotiation is None else negotiation.agreed.get(side)
        return None if said is None else bytes(said)

    def agreement(self, tag: str) -> tuple[Content, ...]:
        """What tells rtpengine once more of the last agreement, after an offer that came to nothing."""
        negotiation = self._talk.negotiation(tag)
        agreed = negotiation.agreed if negotiation is not None else {}
        if "caller" not in agreed or "callee" not in agreed or not self._streams:
            return ()
        shape = StreamShape(self._profile("caller", 0), self._profile("callee", 0))
        interfaces = (self._sides["caller"].interface, self._sides["callee"].interface)
        offer, answer = (self._standing(agreed[side]) for side in SIDES)
        return (
            commands.offer(self.name, "caller", offer, shape, interfaces),
            commands.answer(self.name, "caller", "callee", answer, StreamShape(shape.told, shape.teller)),
        )

    def told(self, side: Side) -> bytes:
        """The description that a side was given last; empty where there was none."""
        return self._talk.told(side)

    def half(self, side: Side) -> Half:
        """What goes on when the other side is gone.

        Raises
        ------
        SdpError
            488 where there is no audio to go on with.
        """
        negotiation, other = self._talk.negotiation(self._tag), OTHER[side]
        place = next((index for index, stream in self._streams.items() if stream.kind == b"audio"), None)
        said = None if negotiation is None else negotiation.agreed.get(side)
        told, told_other = self._talk.told(side), self._talk.told(other)
        if said is None or place is None or place >= len(said.media) or not told or not told_other:
            raise SdpError("no audio that could go on", 488)
        limits = self._settings.limits
        given, link = parse(told, limits), parse(told_other, limits)
        address = read_remote(link, link.media[place]).address
        if address is None or given.media[place].rejected or said.media[place].rejected:
            raise SdpError("no audio that could go on", 488)
        own, others = read_codecs(said.media[place]), read_codecs(given.media[place])
        # The answer's order is what is spoken: of who offered that is what it was told.
        first = others if negotiation is not None and negotiation.offerer == side else own
        second = {codec.key: codec for codec in (own if first is others else others)}
        both = [codec.key for codec in first if codec.key in second]
        mine = {codec.key: codec for codec in reversed(own)}
        return Half(said, told, place, tuple(mine[key] for key in both), address)

    def offer_alone(self, side: Side, asked: Description, shape: StreamShape) -> Content:
        """What rtpengine is asked when a side is to be told in place of the other, which is gone. Raises SdpError
        as ``described``."""
        content = self.offer_of(side, bytes(asked), shape)
        self._redirect(side, asked, content)
        return content

    def offer_of(self, side: Side, said: bytes, shape: StreamShape) -> Content:
        """An offer of a side."""
        interfaces = (self._sides[side].interface, self._sides[OTHER[side]].interface)
        return commands.offer(self.name, side, said, shape, interfaces)

    def answer_alone(
        self, side: Side, out: Description, given: Description, place: int, direction: Direction
    ) -> bytes:
        """The answer to a side's new offer ``out``, of which only the audio goes on; ``given`` is rtpengine's.

        Raises
        ------
        SdpError
            500 where that gives not what is needed.
        """
        self._talk.offered(side, out)
        for index, section in enumerate(out.media):
            if index != place:
                self._talk.answer_no(OTHER[side], index, section)
        return self._tell_audio(side, out, given, place, read_remote(out, out.media[place]), direction)

    def offer_again(
        self, side: Side, told: bytes, place: int, direction: Direction, given: bytes | None = None
    ) -> bytes:
        """What a side was told last, as an offer; with what an rtpengine has ``given``, if it did.

        Raises
        ------
        SdpError
            500 as in ``answer_alone``.
        """
        out = parse(told, self._settings.limits)
        shown = read_remote(out, out.media[place])
        source = parse(told if given is None else given, self._settings.limits)
        return self._tell_audio(side, out, source, place, shown, direction)

    def _tell_audio(
        self, side: Side, out: Description, given: Description, place: int, shown: Remote, direction: Direction
    ) -> bytes:
        mid = shown.mid if shown.profile.named else None
        local = _take(out, given, place, shown.profile, direction, mid, shown.profile)
        return self._finished(side, out, [local], feedback=False)

    def _standing(self, description: Description) -> bytes:
        """A description with the streams that stand."""
        copy = description.copy()
        for index, section in enumerate(copy.media):
            if index not in self._streams:
                section.reject()
        return bytes(copy)

    def _redirect(self, side: Side, description: Description, content: Content) -> tuple[str, ...]:
        """Media for an address that must not be sent to go where the messages of the side come from.

        Raises
        ------
        SdpError
            488 where nothing is known of that either.
        """
        for section in description.media:
            if section.rejected or not relayable(section.media.protocol):
                continue
            remote = read_remote(description, section)
            refusal = (
                None if remote.address is None or remote.ice else self._settings.targets.refusal(remote.address)
            )
            if refusal is not None:
                host = self._sides[side].host
                if host is None:
                    raise SdpError(f"media target refused: {refusal}", 488)
                content["media-address"] = host
                return (f"media target refused: {refusal}",)
        return ()

    # --- offers

    def _offer(self, side: Side, description: Description) -> tuple[Content, Write]:
        other = OTHER[side]
        asked, out = description.copy(), description.copy()
        offers: dict[int, StreamOffer] = {}
        refusal: SdpError | None = None
        standing = {index: stream.offer is not None for index, stream in self._streams.items()}
        for index, section in enumerate(description.media):
            try:
                self._talk.check_wanted(side, description, index, standing | dict.fromkeys(offers, True))
                offers[index] = self._offer_stream(side, description, section)
            except SdpError as error:
                if error.status != 488:
                    raise
                refusal = refusal or error
                asked.media[index].reject()
                out.media[index].reject()
        if nothing_left(description, offers):
            raise refusal or SdpError("no stream offered", 488)
        shape = self._shape(other, offers)
        interfaces = (self._sides[side].interface, self._sides[other].interface)
        content = commands.offer(self.name, side, bytes(asked), shape, interfaces)

        def write(given: Description) -> bytes:
            told: list[Local] = []
            for index, offer in offers.items():
                profile = self._profile(other, index)
                stream = self._streams.setdefault(index, _Stream(description.media[index].media.kind))
                stream.profiles[other] = profile
                stream.offer = offer
                mid = stream.mids.setdefault(other, b"%d" % index) if profile.named else None
                local = _take(out, given, index, profile, offer.remote.direction, mid, offer.remote.profile)
                told.append(local)
            for index, stream in self._streams.items():
                if index not in offers:
                    stream.offer = None
            self._talk.offered(side, description)
            feedback = any(both_know_feedback(offer.remote.profile, told[0].profile) for offer in offers.values())
            return self._finished(other, out, told, feedback)

        return content, write

    def _offer_stream(self, side: Side, description: Description, section: MediaSection) -> StreamOffer:
        remote = read_remote(description, section)
        if section.media.kind != b"audio":
            return StreamOffer(side, remote, (), ())
        codecs = read_codecs(section)
        return StreamOffer(
            side, remote, codecs, to_offer(codecs, self._sides[OTHER[side]].kind, self._settings.codecs)
        )

    def _shape(self, other: Side, offers: Mapping[int, StreamOffer]) -> StreamShape:
        """The flags hold for all streams of a message, so the first one, and the first with codecs, decide."""
        first = next(iter(offers), 0)
        told = self._profile(other, first)
        teller = offers[first].remote.profile if offers else told
        audio = next((offer for offer in offers.values() if offer.codecs), None)
        return StreamShape(teller, told) if audio is None else StreamShape(teller, told, audio.codecs, audio.told)

    def _profile(self, side: Side, index: int) -> Profile:
        """What a side has shown of a stream, else what its kind is offered."""
        stream = self._streams.get(index)
        shown = None if stream is None else stream.profiles.get(side)
        return shown or offering(self._sides[side].kind, self._settings.profiles)

    # --- answers

    def _answer(self, side: Side, description: Description, *, final: bool) -> tuple[Content, Write]:
        other = OTHER[side]
        asked, out = description.copy(), description.copy()
        agreed: dict[int, tuple[StreamOffer, Remote]] = {}
        for index, section in enumerate(description.media):
            stream = self._streams.get(index)
            offer = None if stream is None else stream.offer
            if stream is None or offer is None or section.rejected:
                asked.media[index].reject()
                self._talk.answer_no(side, index, out.media[index])
                if stream is not None and final:
                    del self._streams[index]
                continue
            remote = read_remote(description, section)
            if remote.profile.security != stream.profiles[side].security:
                raise SdpError("answer is secured otherwise than offered", 488)
            agreed[index] = (offer, remote._replace(direction=remote.direction.within(offer.remote.direction)))
        shapes = [StreamShape(remote.profile, offer.remote.profile) for offer, remote in agreed.values()]
        shape = shapes[0] if shapes else StreamShape(self._profile(side, 0), self._profile(other, 0))
        content = commands.answer(self.name, other, side, bytes(asked), shape)

        def write(given: Description) -> bytes:
            told: list[Local] = []
            for index, (offer, remote) in agreed.items():
                profiles = self._streams[index].profiles
                profile = profiles[other] = offer.remote.profile
                mid = offer.remote.mid if profile.named else None
                local = _take(out, given, index, profile, remote.direction, mid, remote.profile)
                # RFC 5761 §5.1.1: multiplexed by both or by none
                mux = profiles[side].rtcp_mux and remote.profile.rtcp_mux
                profiles[side] = replace(profiles[side], rtcp_mux=mux, ice=remote.ice is not None)
                told.append(local)
            feedback = any(both_know_feedback(remote.profile, told[0].profile) for _, remote in agreed.values())
            return self._finished(other, out, told, feedback)

        return content, write

    def _finished(self, side: Side, out: Description, told: list[Local], feedback: bool) -> bytes:
        host = self._hosts[side] = told[0].host if told else self._hosts.get(side, "0.0.0.0")
        self._talk.finish(side, out, told, host, feedback=feedback)
        return bytes(out)


def _take(
    out: Description,
    given: Description,
    index: int,
    profile: Profile,
    direction: Direction,
    mid: bytes | None,
    origin: Profile,
) -> Local:
    """Write one stream with what rtpengine gives of it.

    Raises
    ------
    SdpError
        500 where it does not give what the profile needs.
    """
    if index >= len(given.media) or given.media[index].rejected:
        raise SdpError("rtpengine leaves a stream out", 500)
    section, place = given.media[index], out.media[index]
    remote = read_remote(given, section)
    if remote.address is None or remote.profile.security != profile.security or (profile.ice and not remote.ice):
        raise SdpError("rtpengine gives another kind of stream than asked for", 500)
    if section.media.kind == b"audio":
        write_codecs(place, read_codecs(section))
    host, port = remote.address
    rtcp_port = remote.rtcp[1] if remote.rtcp is not None else port + 1
    local = Local(
        profile=profile,
        direction=direction,
        host=host,
        port=port,
        rtcp_port=port if profile.rtcp_mux else rtcp_port,
        ice=remote.ice if profile.ice else None,
        fingerprint=remote.fingerprints[0] if remote.fingerprints else None,
        setup=remote.setup,
        crypto=remote.crypto,
        mid=mid,
    )
    write_local(place, local, origin)
    return local
