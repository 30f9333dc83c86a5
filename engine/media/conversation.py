"""What the two sides of a call have said to each other, and the frame of what each is told.

Common to all relays: which description is an offer and which its answer, for every fork; which streams both sides
may have; names, bundle and ``o=`` line as each side is to see them. What a relay adds are ports, keys and names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random

from engine.media.offer_answer import OTHER, Carrier, Negotiation, Said, Side, Signature
from engine.media.profiles import Kind, Local, relayable, write_session
from engine.media.sdp.description import Description, MediaSection
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings

_MOST_FORKS = 16


class Conversation:
    """Of one caller and one callee, whose forks are told apart by their tags."""

    __slots__ = (
        "_bundled",
        "_bundles",
        "_kinds",
        "_last",
        "_mids",
        "_negotiations",
        "_settings",
        "_signatures",
    )

    def __init__(self, kinds: Mapping[Side, Kind], settings: MediaSettings, random: Random) -> None:
        self._kinds = kinds
        self._settings = settings
        self._negotiations: dict[str, Negotiation] = {"": Negotiation()}
        self._signatures: dict[Side, Signature] = {side: Signature(random.getrandbits(62)) for side in kinds}
        self._bundles: dict[Side, bool] = {}  # whether a side that has offered bundles
        self._bundled: set[Side] = set()  # sides that were told of a bundle
        self._mids: dict[Side, list[bytes | None]] = {}  # its names of the streams
        self._last: dict[tuple[str, Side], bytes] = {}  # what was sent on of a side's last description

    # --- roles

    def said(self, carrier: Carrier, tag: str, description: Description) -> Said | None:
        """A description came; None where there are more forks than can be followed.

        Raises
        ------
        SdpError
            488 where it has not the streams that it must.
        OfferPendingError
            491 or 500: the request is to be refused so.
        """
        negotiation = self.negotiation(tag)
        return None if negotiation is None else negotiation.said(carrier, description)

    def unsaid(self, carrier: Carrier, tag: str) -> None:
        """A request's offer can't be sent on, and is refused."""
        negotiation = self.negotiation(tag)
        if carrier.status == 0 and negotiation is not None:
            negotiation.ended(Carrier(OTHER[carrier.sender], carrier.method, carrier.cseq, 488))

    def ended(self, carrier: Carrier, tag: str) -> bool:
        """A final response, or an ACK, came without a description: whether the last agreement holds again."""
        negotiation = self._negotiations.get(tag)
        again = negotiation is not None and negotiation.ended(carrier)
        if carrier.status >= 300:  # the INVITE as a whole; a 2xx is of one fork alone, and others may follow
            again |= self._negotiations[""].ended(carrier)
        return again

    def negotiation(self, tag: str) -> Negotiation | None:
        """The dialog with this tag of the callee; a new one begins where the INVITE left off."""
        negotiation = self._negotiations.get(tag)
        if negotiation is None and len(self._negotiations) < _MOST_FORKS:
            negotiation = self._negotiations[tag] = self._negotiations[""].fork()
        return negotiation

    # --- what was sent on

    def remember(self, tag: str, side: Side, body: bytes) -> None:
        """A side's description is sent on so."""
        self._last.pop((tag, side), None)  # the newest stands last
        self._last[tag, side] = body

    def repeated(self, tag: str, side: Side) -> bytes | None:
        """What was sent on when the side last said this."""
        return self._last.get((tag, side)) or self._last.get(("", side))

    def told(self, side: Side) -> bytes:
        """The description that a side was given last, empty where there was none."""
        return next((body for (_, sender), body in reversed(self._last.items()) if sender != side), b"")

    # --- streams

    def check_wanted(
        self, side: Side, description: Description, index: int, open_streams: Mapping[int, bool]
    ) -> None:
        """Whether both sides may have this stream. ``open_streams`` tells whether each that stands is offered.

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
        if any(kind not in streams[party] for party in self._kinds.values()):
            raise SdpError("kind of stream not relayed", 488)
        if index not in open_streams and side in self._bundled:
            raise SdpError("stream that would have to join the bundle", 488)
        if index not in open_streams and len(open_streams) >= self._settings.most_streams:
            raise SdpError("more streams than are relayed", 488)
        # FreeSWITCH's way to offer SRTP or RTP: two m= lines for the one port. The first that can be met is taken.
        for before, earlier in enumerate(description.media[:index]):
            if earlier.media[:2] == section.media[:2] and section.media.port != 9 and open_streams.get(before):
                raise SdpError("alternative to a stream that is taken", 488)

    def offered(self, side: Side, description: Description) -> None:
        """An offer can be sent on: remember how the side calls its streams."""
        self._mids[side] = [section.attribute(b"mid") for section in description.media]
        self._bundles[side] = any(
            group.startswith(b"BUNDLE") for group in description.session.attributes(b"group")
        )

    def answer_no(self, side: Side, index: int, place: MediaSection) -> None:
        """Reject a stream in an answer, under the name that the side which offered it gave."""
        place.reject()
        place.drop((b"mid",))
        mids = self._mids.get(OTHER[side], [])
        if index < len(mids) and (mid := mids[index]) is not None:
            place.add(b"mid", mid)

    # --- the frame

    def finish(self, side: Side, out: Description, told: Sequence[Local], host: str, *, feedback: bool) -> None:
        """Write for a side what holds for all streams. ``host`` is where it is told that we are."""
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


def nothing_left(description: Description, told: Collection[object]) -> bool:
    """Whether an offer has lost all its streams on the way, rather than come without."""
    return not told and not (description.media and all(section.rejected for section in description.media))
