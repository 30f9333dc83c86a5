"""Two agents whose calls ended at one node that is gone, each with its media at an rtpengine.

rtpengine can't join two calls, so each is told that its node is where the other's ports towards the node are: what
one agent says leaves its call there, and comes into the other's. Ports, keys and names towards the agents stay as
they are, so no agent notices; and the two calls may be at different rtpengines.

What is spoken on this link has the numbers of RFC 3551, or the same ones on both sides, for rtpengine takes no
other numbers in an answer than it was offered; else both sides are transcoded to G.711.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from engine.boundary import Address
from engine.media.codecs import Codec, read_codecs, write_codecs
from engine.media.ng import commands
from engine.media.ng.client import Outcome, Silence
from engine.media.ng.commands import StreamShape
from engine.media.ng.wire import NgMessage
from engine.media.offer_answer import OTHER, Side, align
from engine.media.profiles import PROFILES, Local, Remote, read_remote, write_local, write_session
from engine.media.relay import Answered, JoinedMedia, RelayedMedia
from engine.media.sdp.attributes import Direction
from engine.media.sdp.description import Description, parse
from engine.media.sdp.errors import SdpError
from engine.notes import MediaNotJoined, MediaNotMoved
from engine.sip.errors import SipError

if TYPE_CHECKING:
    from engine.media.ng.relay import NgMedia, NgRelay

_LINK: Final = PROFILES["rtp"]
_G711: Final = (Codec(0, b"PCMU", 8000), Codec(8, b"PCMA", 8000))
# What an offer says of its own packets and is nothing that the answer should repeat.
_OWN: Final = (b"ssrc", b"ssrc-group", b"msid", b"rid", b"simulcast", b"extmap", b"rtcp-fb")


class End:
    """One agent, or an application in its place, and its call at an rtpengine."""

    def __init__(self, media: NgMedia, side: Side) -> None:
        self.media = media
        self.side: Side = side
        half = media.call.half(side)
        self.place = half.place
        self.told = half.told
        self.said = half.said
        self.speaks = beside(half.spoken)
        self.link = half.link
        self.is_asked = False  # an offer in its node's name is before it, and rtpengine waits for the answer
        self.is_stale = False  # something has changed meanwhile

    @property
    def remote(self) -> Remote:
        return read_remote(self.said, self.said.media[self.place])


class NgJoined:
    """Both halves."""

    def __init__(self, relay: NgRelay, one: End, other: End, now: float) -> None:
        self.changed: Callable[[Side, float], None] = lambda side, now: None
        self._relay = relay
        self._ends: dict[Side, End] = {"caller": one, "callee": other}
        self._over = False
        self._spoken = _on_link(self._ends["caller"].speaks, self._ends["callee"].speaks)
        for side, end in self._ends.items():
            end.media.joined = self
            self._retell(side, now)

    # --- JoinedMedia

    def answer(self, side: Side, offer: bytes, then: Answered, now: float) -> None:
        end = self._ends[side]
        before = (end.said, end.speaks)
        end.is_asked = False  # it offers itself
        try:
            self._hear(side, parse(offer, self._relay.settings.limits), now)
        except SipError as error:
            then(error, now)
            return

        def answered(outcome: Outcome, now: float) -> None:
            try:
                end.told = self._answer(side, outcome)
            except SipError as error:
                end.said, end.speaks = before
                then(error, now)
                return
            then(end.told, now)

        self._tell(side, answered, now)

    def offer(self, side: Side, now: float) -> bytes:
        end = self._ends[side]
        direction = self._ends[OTHER[side]].remote.direction
        end.told = end.media.call.offer_again(end.side, end.told, end.place, direction)
        return end.told

    def answered(self, side: Side, answer: bytes, now: float) -> None:
        end = self._ends[side]
        description = parse(answer, self._relay.settings.limits)
        align(description, parse(end.told, self._relay.settings.limits))
        self._hear(side, description, now)
        if end.is_asked:
            self._complete(side, now)
        else:
            self._retell(side, now)

    def told(self, side: Side) -> bytes:
        return self._ends[side].told

    def join(self, side: Side, other: RelayedMedia | JoinedMedia, other_side: Side, now: float) -> JoinedMedia:
        return self._relay.join((self, side), (other, other_side), now)

    def end(self, side: Side) -> End:
        """To be joined with another."""
        return self._ends[side]

    def release(self, now: float) -> None:
        self._over = True
        for end in self._ends.values():
            if end.media.joined is self:  # else it has been joined anew
                end.media.end(now)

    # --- what the agents say

    def _hear(self, side: Side, description: Description, now: float) -> None:
        """Take an agent's new description. Raises SdpError where its audio can't go on."""
        end = self._ends[side]
        if end.place >= len(description.media) or description.media[end.place].rejected:
            raise SdpError("the audio that was agreed is not offered", 488)
        section = description.media[end.place]
        read_remote(description, section)
        codecs = read_codecs(section)
        end.speaks = beside(sorted(codecs, key=lambda codec: codec.key != end.speaks[0].key))
        end.said = description
        spoken = _on_link(self._ends["caller"].speaks, self._ends["callee"].speaks)
        if spoken != self._spoken:
            self._spoken = spoken
            end.is_stale = True
            self._retell(OTHER[side], now)

    # --- what rtpengine is told

    def _tell(self, side: Side, then: Callable[[Outcome, float], None], now: float) -> None:
        """Say to one rtpengine what an agent has said last, and that its node is at the other call's link."""
        end, far = self._ends[side], self._ends[OTHER[side]]
        media = end.media

        def answered(outcome: Outcome, now: float) -> None:
            try:
                then(outcome, now)
            finally:  # else no order of this call would be given any more
                media.free(now)

        def begin(now: float) -> None:
            server = media.server
            if server is None or media.joined is not self or self._over:
                answered(Silence("its rtpengine is gone"), now)
                return
            remote = end.remote
            asked = _alone(end.said, end.place, end.speaks)
            shape = StreamShape(remote.profile, _LINK, end.speaks, self._spoken)
            offer = media.call.offer_alone(end.side, asked, shape)
            direction = far.remote.direction.within(remote.direction)
            node = _node(asked, end.place, self._spoken, direction, far.link)
            back = StreamShape(_LINK, remote.profile)
            answer = commands.answer(media.call.name, end.side, OTHER[end.side], node, back)

            def offered(outcome: Outcome, now: float) -> None:
                if isinstance(outcome, NgMessage) and _is_ok(outcome):
                    self._linked(side, outcome, now)
                    self._relay.servers.order(server, answer, answered, now)
                else:
                    answered(outcome, now)

            self._relay.servers.order(server, offer, offered, now)

        media.after(begin, now)

    def _linked(self, side: Side, offered: NgMessage, now: float) -> None:
        """Where one call takes the other's packets may have changed."""
        end = self._ends[side]
        try:
            given = parse(offered.text(b"sdp"), self._relay.settings.limits)
            address = read_remote(given, given.media[end.place]).address if end.place < len(given.media) else None
        except SipError:
            return  # what it answers to the answer counts
        if address is not None and address != end.link:
            end.link = address
            self._retell(OTHER[side], now)

    def move(self, media: NgMedia, now: float) -> bool:
        """The rtpengine of one call is gone: take it to another, and have the agent asked anew. False where none
        can serve."""
        server = self._relay.servers.choose()
        if server is None:
            return False
        media.lost = False
        self._relay.settle(media, server, now)
        side: Side = "caller" if self._ends["caller"].media is media else "callee"
        end, far = self._ends[side], self._ends[OTHER[side]]
        end.is_asked = True
        node = _node(
            _alone(end.said, end.place, end.speaks), end.place, self._spoken, far.remote.direction, far.link
        )
        told = parse(end.told, self._relay.settings.limits)
        shape = StreamShape(_LINK, read_remote(told, told.media[end.place]).profile, self._spoken, end.speaks)

        def offered(outcome: Outcome, now: float) -> None:
            try:
                end.told = end.media.call.offer_again(
                    end.side, end.told, end.place, far.remote.direction, _sdp(outcome)
                )
            except SipError as error:
                end.is_asked = False
                self._relay.out.append(MediaNotMoved(media.call_id, error.why))
            else:
                self.changed(side, now)
            media.free(now)

        def begin(now: float) -> None:
            order = media.call.offer_of(OTHER[end.side], node, shape)
            self._relay.servers.order(server, order, offered, now)

        media.after(begin, now)
        return True

    def _complete(self, side: Side, now: float) -> None:
        """The agent has answered the offer of a new rtpengine."""
        end = self._ends[side]
        media, end.is_asked = end.media, False

        def answered(outcome: Outcome, now: float) -> None:
            if isinstance(outcome, NgMessage) and _is_ok(outcome):
                self._linked(side, outcome, now)
            elif not media.lost:
                self._relay.out.append(MediaNotMoved(media.call_id, why_not(outcome)))
            media.free(now)
            if end.is_stale:
                self._retell(side, now)

        def begin(now: float) -> None:
            said, shape = _alone(end.said, end.place, end.speaks), StreamShape(end.remote.profile, _LINK)
            answer = commands.answer(media.call.name, OTHER[end.side], end.side, bytes(said), shape)
            if media.server is not None:
                self._relay.servers.order(media.server, answer, answered, now)
            else:
                media.free(now)

        media.after(begin, now)

    def _retell(self, side: Side, now: float) -> None:
        """Have a call take note of what has changed; nobody waits for it."""
        end = self._ends[side]
        media, end.is_stale = end.media, end.is_asked
        if end.is_asked:
            return  # its offer stands before rtpengine, which would take another for a new one

        def told(outcome: Outcome, now: float) -> None:
            if not _is_ok(outcome) and not self._over and not media.lost:  # what is lost is told when it is moved
                calls = [end.media.call_id for end in self._ends.values()]
                self._relay.out.append(MediaNotJoined(calls[0], calls[1], why_not(outcome)))

        self._tell(side, told, now)

    def _answer(self, side: Side, outcome: Outcome) -> bytes:
        """What an agent's new offer is to be answered, by what rtpengine has given for it."""
        end = self._ends[side]
        given = parse(_sdp(outcome), self._relay.settings.limits)
        out = end.said.copy()
        out.media[end.place].drop(_OWN)
        direction = self._ends[OTHER[side]].remote.direction.within(end.remote.direction)
        return end.media.call.answer_alone(end.side, out, given, end.place, direction)


def beside(codecs: Sequence[Codec]) -> tuple[Codec, ...]:
    """The first speech codec, and the digits and noise on its clock. Raises SdpError where there is none."""
    speech = next((codec for codec in codecs if codec.is_speech), None)
    if speech is None:
        raise SdpError("no speech that could go on", 488)
    return (speech, *(each for each in codecs if each.is_companion and each.clock_hz == speech.clock_hz))


def _on_link(one: tuple[Codec, ...], other: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """What is spoken between the two calls: what both agents speak under the same numbers, else G.711."""
    if one[0].key == other[0].key and one[0].payload_type == other[0].payload_type:
        known = {codec.key: codec.payload_type for codec in other}
        return tuple(codec for codec in one if known.get(codec.key) == codec.payload_type)
    spoken = {one[0].key, other[0].key}
    return (next((codec for codec in _G711 if codec.key in spoken), _G711[0]),)


def _alone(said: Description, place: int, codecs: tuple[Codec, ...]) -> Description:
    """A description with nothing but its audio, in these codecs."""
    out = said.copy()
    for index, section in enumerate(out.media):
        if index == place:
            write_codecs(section, codecs)
        else:
            section.reject()
    return out


def _node(
    asked: Description,
    place: int,
    codecs: tuple[Codec, ...],
    direction: Direction,
    at: Address,
) -> bytes:
    """What the node would say if it were at this address."""
    out = asked.copy()
    section = out.media[place]
    origin = read_remote(asked, section)
    write_codecs(section, codecs)
    host, port = at
    write_local(section, Local(_LINK, direction, host, port, port + 1), origin.profile)
    write_session(out, host, ice=False, bundle=None, feedback=False)
    return bytes(out)


def _is_ok(outcome: Outcome) -> bool:
    return isinstance(outcome, NgMessage) and outcome.text(b"result") == b"ok"


def _sdp(outcome: Outcome) -> bytes:
    """The description that an rtpengine gives. Raises SipError where it gives none."""
    if not isinstance(outcome, NgMessage) or not _is_ok(outcome):
        raise SipError(why_not(outcome), 500)
    return outcome.text(b"sdp")


def why_not(outcome: Outcome) -> str:
    """Why an rtpengine did not do what it was asked for."""
    if isinstance(outcome, NgMessage):
        return outcome.text(b"error-reason")[:100].decode("utf-8", "replace") or "no result"
    return outcome.why
