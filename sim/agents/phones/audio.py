"""The audio of one call: what a phone describes of it, and what it does once the other side has said its part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from engine.media.sdp.attributes import DIRECTIONS, SENDRECV, Direction, host_candidate
from sim.agents.media import TalkOver, talking
from sim.agents.sdp import read_audio, read_direction

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones

HELD: Final = Direction(sends=True, receives=False)
"""What a user wants who puts the other side on hold."""

_PHONE: Final = {b"0": b"PCMU/8000", b"8": b"PCMA/8000", b"101": b"telephone-event/8000"}
_BROWSER: Final = {
    b"111": b"opus/48000/2",
    b"9": b"G722/8000",
    b"0": b"PCMU/8000",
    b"8": b"PCMA/8000",
    b"110": b"telephone-event/48000",
    b"126": b"telephone-event/8000",
}
_DIGITS: Final = b"telephone-event"


class CallAudio:
    """One call's. Unless the settings say that agents talk, it says what every phone says, and tells nothing."""

    __slots__ = ("_call_id", "_own", "_phones", "_port", "_remote", "_talks", "_user", "_version", "wanted")

    def __init__(self, phones: Phones, call_id: str, user: str) -> None:
        self._phones = phones
        self._call_id = call_id
        self._user = user
        self._port = 0
        self._version = 0
        self._own = b""
        self._remote = b""
        self._talks = False
        self.wanted = SENDRECV  # by the user

    def offer(self) -> bytes:
        """Our description for an offer."""
        protocol = b"UDP/TLS/RTP/SAVPF" if self._phones.config.webrtc else b"RTP/AVP"
        return self._describe(protocol, self._codecs(), self.wanted, b"actpass")

    def answer(self, offer: bytes) -> bytes:
        """Our answer to an offer, in its own numbers and protocol."""
        offered = read_audio(offer)
        if offered is None:
            return self.offer()
        self._remote = offer
        known = {name.lower() for name in self._codecs().values()}
        common = {number: name for number, name in offered.encodings.items() if name.lower() in known}
        direction = self.wanted.within(DIRECTIONS[read_direction(offer)])
        return self._describe(offered.protocol, common, direction, b"active")

    def heard(self, description: bytes, now: float) -> None:
        """The other side's description completes an exchange; empty: what it said before holds."""
        self._remote = description or self._remote
        phones = self._phones
        if not phones.config.talks or not self._remote:
            return
        shift = 2 if phones.config.asymmetric else 0
        told = talking(self._call_id, self._user, self._own, self._remote, port_shift=shift)
        if told is not None:
            self._talks = True
            phones.out.append(told)

    def over(self) -> None:
        """The call has ended."""
        if self._talks:
            self._talks = False
            self._phones.out.append(TalkOver(self._call_id, self._user))

    def _codecs(self) -> Mapping[bytes, bytes]:
        config = self._phones.config
        kind = _BROWSER if config.webrtc else _PHONE
        wanted = config.codecs
        if wanted is None:
            return kind
        return {
            number: name
            for number, name in kind.items()
            if (codec := name.partition(b"/")[0].lower()) in wanted or codec == _DIGITS
        }

    def _describe(
        self, protocol: bytes, codecs: Mapping[bytes, bytes], direction: Direction, setup: bytes
    ) -> bytes:
        phones = self._phones
        if not phones.config.talks:
            self._own = phones.description
            return self._own
        self._port = self._port or phones.next_media_port()
        self._version += 1
        host = phones.config.interface.public_host
        address = (b"IP6 " if ":" in host else b"IP4 ") + host.encode("ascii")
        media = [
            b"m=audio %d %b %b" % (self._port, protocol, b" ".join(codecs)),
            *(b"a=rtpmap:%b %b" % pair for pair in codecs.items()),
            b"a=" + direction.attribute,
        ]
        session = [b"v=0", b"o=- %d %d IN %b" % (4711 + self._port, self._version, address), b"s=-"]
        session += [b"c=IN " + address, b"t=0 0"]
        if phones.config.webrtc:
            session.append(b"a=group:BUNDLE 0")
            names = phones.ice_names
            media += [
                b"a=mid:0",
                b"a=rtcp-mux",
                b"a=ice-ufrag:" + names.ufrag,
                b"a=ice-pwd:" + names.password,
                b"a=setup:" + setup,
                b"a=fingerprint:" + bytes(phones.certificate),
                b"a=candidate:" + host_candidate(1, host, self._port),
            ]
        self._own = b"\r\n".join([*session, *media, b""])
        return self._own
