"""What each side of a call can take, and how a stream is told to it.

A *profile* is the shape of a stream on one side: how it is secured, what its ``m=`` line says, whether ICE and
RTCP multiplexing are used. A side that offers gets an answer in the profile of its own offer; a side that is
offered to gets the one that its kind - browser, softphone, node - can take. Any profile meets any other: between
them stand our own ports, keys and certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import new as new_hash
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from engine.boundary import Address
from engine.media.sdp.attributes import (
    DIRECTIONS,
    SENDRECV,
    Candidate,
    Crypto,
    Direction,
    Fingerprint,
    IceNames,
    host_candidate,
    parse_candidates,
    parse_crypto,
    parse_fingerprints,
    parse_ice_names,
    parse_rtcp,
)
from engine.media.sdp.description import Description, MediaSection
from engine.media.sdp.errors import SdpError
from engine.media.sdp.fields import Connection

Kind: TypeAlias = Literal["browser", "softphone", "node"]
Security: TypeAlias = Literal["none", "sdes", "dtls"]
Setup: TypeAlias = Literal["active", "passive", "actpass", "holdconn"]


@dataclass(frozen=True, slots=True)
class Profile:
    """The shape of a stream on one side."""

    protocol: bytes  # of the m= line
    security: Security = "none"
    ice: bool = False
    rtcp_mux: bool = False
    named: bool = False  # a=mid, and a BUNDLE of the audio


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "rtp": Profile(b"RTP/AVP"),
        "srtp": Profile(b"RTP/SAVP", security="sdes"),
        "dtls": Profile(b"UDP/TLS/RTP/SAVP", security="dtls"),
        "webrtc": Profile(b"UDP/TLS/RTP/SAVPF", security="dtls", ice=True, rtcp_mux=True, named=True),
    }
)
"""The profiles that a topology can name, as they are offered."""

PROFILE_OF_KIND: Final[Mapping[Kind, str]] = MappingProxyType(
    {"browser": "webrtc", "softphone": "rtp", "node": "rtp"}
)
"""What a side is offered where the topology says nothing else."""


SHORTEST_PACKET_MS: Final = 10
USUAL_PACKET_MS: Final = 20  # RFC 3551 §4.2
LONGEST_PACKET_MS: Final = 120  # of Opus (RFC 7587 §4.2); of G.711 it still fits into a datagram


class _Protocol(NamedTuple):
    secure: bool
    feedback: bool  # AVPF (RFC 4585): a=rtcp-fb may stand


# What an m= line may say. FreeSWITCH and old browsers write RTP/SAVPF where DTLS is meant, so that whether keys or
# a fingerprint come with it decides, not the name.
_PROTOCOLS: Final[Mapping[bytes, _Protocol]] = {
    b"RTP/AVP": _Protocol(secure=False, feedback=False),
    b"RTP/AVPF": _Protocol(secure=False, feedback=True),
    b"RTP/SAVP": _Protocol(secure=True, feedback=False),
    b"RTP/SAVPF": _Protocol(secure=True, feedback=True),
    b"UDP/TLS/RTP/SAVP": _Protocol(secure=True, feedback=False),
    b"UDP/TLS/RTP/SAVPF": _Protocol(secure=True, feedback=True),
}

# Attributes of one side's transport and keys: never told to the other side, which is told ours.
_TRANSPORT: Final = frozenset(
    b"candidate remote-candidates end-of-candidates ice-ufrag ice-pwd ice-options ice-lite ice-pacing "
    b"ice-mismatch fingerprint setup connection tls-id crypto key-mgmt zrtp-hash rtcp rtcp-mux rtcp-mux-only mid "
    b"group bundle-only sendrecv sendonly recvonly inactive".split()
)
# Attributes that only an AVPF peer knows (RFC 4585, 5506, 5576, 8285, 8830, 8851, 8853): kept between two such.
_FEEDBACK: Final = frozenset(
    b"rtcp-fb rtcp-rsize ssrc ssrc-group msid msid-semantic extmap extmap-allow-mixed rid simulcast".split()
)


class Remote(NamedTuple):
    """What a side said of one of its streams.

    ``address`` is None where media can't be sent by what was said: an old-style hold, a name, or port 9 of a peer
    that is found by ICE alone. ``rtcp`` is where its RTCP goes, the same as ``address`` when it is multiplexed.
    """

    profile: Profile
    direction: Direction
    address: Address | None
    rtcp: Address | None
    ice: IceNames | None
    ice_lite: bool
    candidates: tuple[Candidate, ...]
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup
    crypto: tuple[Crypto, ...]
    mid: bytes | None
    packet_ms: int = USUAL_PACKET_MS  # how long the packets are to be that it is sent (RFC 8866 §6.4)


class Local(NamedTuple):
    """What a side is told of the stream's other end, which is us."""

    profile: Profile
    direction: Direction
    host: str
    port: int
    rtcp_port: int
    ice: IceNames | None = None
    fingerprint: Fingerprint | None = None
    setup: Setup = "actpass"
    crypto: tuple[Crypto, ...] = ()
    mid: bytes | None = None


def relayable(protocol: bytes) -> bool:
    """Whether a stream of this protocol is RTP over UDP in a form that we know."""
    return protocol in _PROTOCOLS


def read_remote(description: Description, section: MediaSection) -> Remote:
    """What a description says of a stream.

    Raises
    ------
    SdpError
        488 where it asks for a protocol, keys or certificate that we can't meet; 400 where an attribute is broken.
    """
    protocol = _PROTOCOLS.get(section.media.protocol)
    if protocol is None:
        raise SdpError("protocol of m= line not known", 488)
    fingerprints = parse_fingerprints(description.attributes_of(section, b"fingerprint"))
    crypto = parse_crypto(section.attributes(b"crypto"))
    security = _security(section, protocol, fingerprints, crypto)
    names = parse_ice_names(
        description.attribute_of(section, b"ice-ufrag"), description.attribute_of(section, b"ice-pwd")
    )
    # ICE is spoken with peers that need it. To others the lack of it in our words says: without (RFC 8839 §4.2.5).
    ice = names if security == "dtls" else None
    mux = section.attribute(b"rtcp-mux") is not None
    mid = section.attribute(b"mid")
    profile = Profile(section.media.protocol, security, ice is not None, mux, mid is not None)
    connection = description.connection_of(section)
    if connection is None:
        raise SdpError("no c= line for a stream")
    address = _address(connection.host, section.media.port)
    held = connection.host in ("0.0.0.0", "::") and ice is None
    direction = _direction(description, section)
    if held:  # RFC 3264 §8.4: the way of RFC 2543 to say "don't send to me"
        direction = Direction(direction.sends, receives=False)
    return Remote(
        profile=profile,
        direction=direction,
        address=address,
        rtcp=address if mux else _rtcp_address(section, connection.host),
        ice=ice,
        ice_lite=ice is not None and description.session.attribute(b"ice-lite") is not None,
        candidates=parse_candidates(section.attributes(b"candidate")) if ice is not None else (),
        fingerprints=fingerprints if security == "dtls" else (),
        setup=_setup(description.attribute_of(section, b"setup")),
        crypto=crypto if security == "sdes" else (),
        mid=mid,
        packet_ms=_packet_ms(section),
    )


def answering(remote: Remote) -> Profile:
    """The profile of our answer to a side's own offer: the same (RFC 3264 §6.1)."""
    return remote.profile


def offering(kind: Kind, profiles: Mapping[Kind, str] = PROFILE_OF_KIND) -> Profile:
    """The profile in which a side of this kind is offered a stream."""
    return PROFILES[profiles[kind]]


def write_local(section: MediaSection, local: Local, origin: Profile) -> None:
    """Tell a side of a stream: the other side's section, with our transport and keys in place of its own.

    ``origin`` is the profile in which the section came from the other side.
    """
    feedback = _PROTOCOLS[local.profile.protocol].feedback
    section.drop(_TRANSPORT if feedback and _PROTOCOLS[origin.protocol].feedback else _TRANSPORT | _FEEDBACK)
    section.lines = [line for line in section.lines if not line.startswith(b"c=")]
    section.retarget(section.media._replace(port=local.port, port_count=1, protocol=local.profile.protocol))
    section.add(local.direction.attribute)
    if local.mid is not None:
        section.add(b"mid", local.mid)
    if local.profile.rtcp_mux:
        section.add(b"rtcp-mux")
    section.add(b"rtcp", b"%d" % local.rtcp_port)
    for crypto in local.crypto:
        section.add(b"crypto", bytes(crypto))
    if local.fingerprint is not None:
        section.add(b"setup", local.setup.encode("ascii"))
        section.add(b"fingerprint", bytes(local.fingerprint))
    if local.ice is not None:
        section.add(b"ice-ufrag", local.ice.ufrag)
        section.add(b"ice-pwd", local.ice.password)
        section.add(b"candidate", host_candidate(1, local.host, local.port))
        if local.rtcp_port != local.port:
            section.add(b"candidate", host_candidate(2, local.host, local.rtcp_port))


def write_session(description: Description, host: str, *, ice: bool, bundle: bytes | None, feedback: bool) -> None:
    """Tell a side what holds for all streams: our address, ICE-lite (RFC 8839 §5.3), the bundle of the audio."""
    description.session.drop(_TRANSPORT if feedback else _TRANSPORT | _FEEDBACK)
    description.session.connect(Connection(host))
    if ice:
        description.session.add(b"ice-lite")
        description.session.add(b"ice-options", b"ice2")  # RFC 8445 §10: no peer nominates by RFC 5245 then
    if bundle is not None:
        description.session.add(b"group", b"BUNDLE " + bundle)


# --- keys ------------------------------------------------------------------------------------------------------

# RFC 5763 §5: an answerer should be the DTLS client, which saves a round trip. With ICE-lite it also means that
# no stranger's ClientHello is ever answered: the peer that we call was found by checks.
_SETUP_ANSWERS: Final[Mapping[Setup, Setup]] = {
    "actpass": "active",
    "active": "passive",
    "passive": "active",
    "holdconn": "holdconn",
}


def answer_setup(offered: Setup, standing: Setup | None = None) -> Setup:
    """Our part in an answer. An association that stands keeps its parts (RFC 8842 §5.3)."""
    if offered == "actpass" and standing in ("active", "passive"):
        return standing
    return _SETUP_ANSWERS[offered]


def our_part(answered: Setup) -> Setup:
    """Our part once a peer has answered our ``actpass``. One that answers ``actpass`` itself leaves it to us."""
    return _SETUP_ANSWERS[answered]


def certificate_fits(fingerprints: tuple[Fingerprint, ...], certificate: bytes) -> bool:
    """Whether a certificate (DER) is the one that the signalling named (RFC 8122 §5)."""
    return any(
        new_hash(known.algorithm.decode("ascii").replace("-", ""), certificate).digest() == known.digest
        for known in fingerprints
    )


# --- reading ---------------------------------------------------------------------------------------------------


def _security(
    section: MediaSection, protocol: _Protocol, fingerprints: tuple[Fingerprint, ...], crypto: tuple[Crypto, ...]
) -> Security:
    if not protocol.secure:
        return "none"
    if fingerprints:
        return "dtls"
    if section.media.protocol.startswith(b"UDP/TLS/"):
        raise SdpError("DTLS-SRTP without a fingerprint that can be believed", 488)
    if crypto:
        return "sdes"
    raise SdpError("SRTP without keys that can be used", 488)


def _direction(description: Description, section: MediaSection) -> Direction:
    """The media section's own, else the session's, else both ways (RFC 8866 §6.7)."""
    for level in (section, description.session):
        for line in level.lines:
            if line.startswith(b"a="):
                direction = DIRECTIONS.get(line[2:].rstrip())
                if direction is not None:
                    return direction
    return SENDRECV


def _setup(value: bytes | None) -> Setup:
    """RFC 4145 §4: ``active`` where an offer says nothing; a word that no one knows says nothing."""
    text = (value or b"").strip().lower()
    for setup in _SETUP_ANSWERS:
        if text == setup.encode("ascii"):
            return setup
    return "active"


def _packet_ms(section: MediaSection) -> int:
    """``a=ptime``, but not above ``a=maxptime``; what is out of reason says nothing."""
    wanted, most = (_milliseconds(section.attribute(name)) for name in (b"ptime", b"maxptime"))
    return min(wanted or USUAL_PACKET_MS, most or LONGEST_PACKET_MS)


def _milliseconds(value: bytes | None) -> int | None:
    text = (value or b"").strip()
    number = int(text) if text.isdigit() and len(text) < 4 else 0
    return number if SHORTEST_PACKET_MS <= number <= LONGEST_PACKET_MS else None


def _address(host: str, port: int) -> Address | None:
    is_number = ":" in host or host.replace(".", "").isdigit()
    return (host, port) if is_number and host not in ("0.0.0.0", "::") and port not in (0, 9) else None


def _rtcp_address(section: MediaSection, host: str) -> Address | None:
    value = section.attribute(b"rtcp")
    if value is None:
        return _address(host, section.media.port + 1)
    port, other = parse_rtcp(value)
    return _address(other or host, port)
