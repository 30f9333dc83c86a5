"""FreeSWITCH's session descriptions: what it offers, and what it answers to an offer."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from engine.media.sdp.attributes import Fingerprint
from sim.agents.sdp import read_audio, read_direction

_FIRST_PORT, _LAST_PORT = 16_384, 32_766
_OPUS_FMTP = b"useinbandfec=1; maxaveragebitrate=30000; maxplaybackrate=48000; ptime=20; minptime=10; maxptime=40"

# Lines of an offer by payload type, in the order of FreeSWITCH's own codec preference: OPUS, PCMU, PCMA
_ORIGINATED: Final = (b"102", b"0", b"8", b"103", b"104", b"101", b"13")
_ENCODINGS: Final = {
    b"102": b"opus/48000/2",
    b"0": b"PCMU/8000",
    b"8": b"PCMA/8000",
    b"103": b"telephone-event/48000",
    b"104": b"CN/48000",
    b"101": b"telephone-event/8000",
    b"13": b"CN/8000",
}
_FMTP: Final = {b"102": _OPUS_FMTP, b"103": b"0-15", b"101": b"0-15"}
_SUPPORTED: Final = frozenset((b"opus/48000/2", b"pcmu/8000", b"pcma/8000"))
_PLAIN = b"RTP/AVP"


class _Answer(NamedTuple):
    """What an offer is answered with, once for all calls with this offer."""

    protocol: bytes
    attributes: tuple[bytes, ...]
    payloads: bytes
    bridged: tuple[bytes, ...]  # payload types to offer to the other leg


@lru_cache(maxsize=1024)
def _negotiate(offer: bytes) -> _Answer | None:
    """None where nothing in the offer suits; it is the offer's order that counts."""
    audio = read_audio(offer)
    if audio is None:
        return None
    webrtc = audio.protocol.endswith(b"SAVPF")
    if webrtc and not any(_usable(line) for line in offer.split(b"\n")):
        return None  # it does not trickle: without a usable candidate there will never be one
    common = [(payload, name) for payload, name in audio.encodings.items() if name.lower() in _SUPPORTED]
    if not common:
        return None
    payload, encoding = common[0]
    attributes = [b"a=rtpmap:%b %b" % (payload, encoding)]
    if encoding.lower().startswith(b"opus"):
        attributes.append(b"a=fmtp:%b useinbandfec=1; minptime=10" % payload)
    payloads = payload
    digits = [number for number, name in audio.encodings.items() if name.lower() == b"telephone-event/8000"]
    if digits:
        payloads += b" " + digits[0]
        attributes.append(b"a=rtpmap:%b telephone-event/8000" % digits[0])
        if not webrtc:
            attributes.append(b"a=fmtp:%b 0-15" % digits[0])
    attributes.append(b"a=ptime:20")
    known = {name.lower(): number for number, name in _ENCODINGS.items()}
    bridged = (*(known[name.lower()] for _, name in common), b"101", b"13")
    return _Answer(audio.protocol, tuple(attributes), payloads, bridged)


def _usable(line: bytes) -> bool:
    return line.startswith(b"a=candidate:") and b".local " not in line


class Media:
    """The media side of one node: ports counted up, identifiers of its own."""

    def __init__(self, random: Random, certificate: Fingerprint | None = None) -> None:
        self._random = random
        self._port = _FIRST_PORT
        modelled = b"sha-256 " + b":".join(b"%02X" % random.getrandbits(8) for _ in range(32))
        self._fingerprint = bytes(certificate) if certificate is not None else modelled

    def next_port(self) -> int:
        """An even port for the next stream; they are used again after 8,192 calls."""
        port = self._port
        self._port = port + 2 if port < _LAST_PORT else _FIRST_PORT
        return port

    def answer(self, offer: bytes, host: bytes, port: int) -> bytes:
        """The answer to this offer; empty where it can't be accepted."""
        answer = _negotiate(offer)
        if answer is None:
            return b""
        lines = [*_session(host, port), b"m=audio %d %b %b" % (port, answer.protocol, answer.payloads)]
        lines += answer.attributes
        if answer.protocol.endswith(b"SAVPF"):
            lines += self._ice(host, port, b"active", (1,))
            lines.append(b"a=end-of-candidates")
        return b"\r\n".join([*lines, b""])

    def answer_again(self, before: bytes, offer: bytes, host: bytes) -> bytes:
        """The answer to a re-INVITE: one version on, from the port as before, and only hearing who holds."""
        port = int(before.partition(b"m=audio ")[2].partition(b" ")[0])
        plain = _PLAIN in offer and _PLAIN in before
        answer = (plain and self.answer(offer, host, port)) or before  # ICE goes on under its names
        lines = [line for line in answer.split(b"\r\n") if line not in (b"", b"a=recvonly")]
        origin, (_, number, version, *rest) = lines[1], before.split(b"\r\n")[1].split(b" ")
        lines[lines.index(origin)] = b" ".join([b"o=FreeSWITCH", number, b"%d" % (int(version) + 1), *rest])
        if read_direction(offer) in (b"sendonly", b"inactive"):
            lines.append(b"a=recvonly")
        return b"\r\n".join([*lines, b""])

    def bridged_offer(self, offer: bytes, host: bytes, port: int, webrtc: bool) -> bytes:
        """The offer to the called side: what the caller offered and FreeSWITCH knows."""
        answer = _negotiate(offer)
        return self._offer(answer.bridged if answer else _ORIGINATED, host, port, webrtc)

    def originated_offer(self, host: bytes, port: int, webrtc: bool) -> bytes:
        """The offer of a call that FreeSWITCH begins by itself."""
        return self._offer(_ORIGINATED, host, port, webrtc)

    def _offer(self, payloads: tuple[bytes, ...], host: bytes, port: int, webrtc: bool) -> bytes:
        protocol = b"RTP/SAVPF" if webrtc else _PLAIN  # not UDP/TLS/RTP/SAVPF, whatever the browsers say
        lines = [*_session(host, port), b"m=audio %d %b %b" % (port, protocol, b" ".join(payloads))]
        for payload in payloads:
            lines.append(b"a=rtpmap:%b %b" % (payload, _ENCODINGS[payload]))
            if payload in _FMTP and not (webrtc and _ENCODINGS[payload].startswith(b"telephone-event")):
                lines.append(b"a=fmtp:%b %b" % (payload, _FMTP[payload]))
        if webrtc:
            lines += self._ice(host, port, b"actpass", (1, 2))  # both components at one port
        return b"\r\n".join([*lines, b"a=ptime:20", b""])

    def _ice(self, host: bytes, port: int, setup: bytes, components: tuple[int, ...]) -> list[bytes]:
        number = self._random.getrandbits(32)
        source = b"a=ssrc:%d cname:%08x" % (number, number)
        candidate = b"a=candidate:%d %d udp 2130706431 %b %d typ host generation 0"
        return [
            b"a=fingerprint:" + self._fingerprint,
            b"a=setup:" + setup,
            b"a=rtcp-mux",
            b"a=rtcp:%d IN %b" % (port, _address(host)),
            source,
            b"a=ice-ufrag:%016x" % self._random.getrandbits(64),
            b"a=ice-pwd:%024x" % self._random.getrandbits(96),
            *(candidate % (number, component, host, port) for component in components),
        ]


def silenced(description: bytes) -> bytes:
    """The description with its port 0: how OPTIONS in a dialog is answered."""
    head, _, rest = description.partition(b"m=audio ")
    return head + b"m=audio 0" + rest[rest.index(b" ") :]


def _session(host: bytes, port: int) -> list[bytes]:
    number = 1_795_400_000 + port
    return [
        b"v=0",
        b"o=FreeSWITCH %d %d IN %b" % (number, number + 1, _address(host)),
        b"s=FreeSWITCH",
        b"c=IN " + _address(host),
        b"t=0 0",
    ]


def _address(host: bytes) -> bytes:
    return (b"IP6 " if b":" in host else b"IP4 ") + host
