"""The attributes about transport and keys: read into values, and written from them.

A line of a kind that may stand several times - candidates, fingerprints, keys - and that can't be read or isn't
understood is passed over, as their RFCs ask; what is left must do, and whoever needs one says when none is.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from engine.media.sdp.errors import SdpError

# --- direction (RFC 8866 §6.7) ---------------------------------------------------------------------------------


class Direction(NamedTuple):
    """Which ways a stream goes, from the side of who says it."""

    sends: bool
    receives: bool

    @property
    def attribute(self) -> bytes:
        return _DIRECTION_NAMES[self]

    def seen_from_peer(self) -> Direction:
        return Direction(self.receives, self.sends)

    def within(self, offered: Direction) -> Direction:
        """What of this an answer may say to an offer (RFC 3264 §6.1)."""
        return Direction(self.sends and offered.receives, self.receives and offered.sends)


SENDRECV: Final = Direction(sends=True, receives=True)
SENDONLY: Final = Direction(sends=True, receives=False)
RECVONLY: Final = Direction(sends=False, receives=True)
INACTIVE: Final = Direction(sends=False, receives=False)

DIRECTIONS: Final[Mapping[bytes, Direction]] = MappingProxyType(
    {b"sendrecv": SENDRECV, b"sendonly": SENDONLY, b"recvonly": RECVONLY, b"inactive": INACTIVE}
)
_DIRECTION_NAMES = {direction: name for name, direction in DIRECTIONS.items()}

# --- RTCP (RFC 3605) -------------------------------------------------------------------------------------------

# rtcp-attribute = "a=rtcp:" port [nettype space addrtype space connection-address]
_RTCP = re.compile(rb"(\d{1,5})(?: +IN +IP[46] +([A-Za-z0-9._:\-]{1,255}))?[ \t]*")


def parse_rtcp(value: bytes) -> tuple[int, str | None]:
    """Port, and the address where it is not the one of the stream."""
    match = _RTCP.fullmatch(value)
    if match is None or int(match[1]) > 65_535:
        raise SdpError("malformed a=rtcp")
    return int(match[1]), match[2].decode("ascii").lower() if match[2] else None


# --- ICE (RFC 8839) --------------------------------------------------------------------------------------------

# ice-ufrag-att = "ice-ufrag:" 4*256ice-char; ice-pwd-att = "ice-pwd:" 22*256ice-char
_UFRAG = re.compile(rb"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(rb"[A-Za-z0-9+/]{22,256}")
# candidate-attribute = "candidate:" foundation SP component-id SP transport SP priority SP connection-address
#                       SP port SP cand-type [SP rel-addr] [SP rel-port] *(SP cand-extension)
_CANDIDATE = re.compile(
    rb"[A-Za-z0-9+/]{1,32} +([12]) +(?i:udp) +(\d{1,10}) +"
    rb"([A-Za-z0-9._:\-]{1,255}) +(\d{1,5}) +typ +(\w+)(?: .*)?"
)
_MOST_CANDIDATES = 64


class Candidate(NamedTuple):
    """One address that a peer may be reached at over UDP; ``component`` is 1 for RTP, 2 for RTCP."""

    component: int
    priority: int
    host: str
    port: int
    kind: bytes


class IceNames(NamedTuple):
    """What the peers call themselves in checks, and the key of these. Shown nowhere, for it holds the password."""

    ufrag: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"IceNames({self.ufrag!r})"


def parse_ice_names(ufrag: bytes | None, password: bytes | None) -> IceNames | None:
    """Both or none.

    Raises
    ------
    SdpError
        400 where one is missing, too short, too long or has octets outside the grammar.
    """
    if ufrag is None and password is None:
        return None
    ufrag, password = (ufrag or b"").rstrip(), (password or b"").rstrip()
    if _UFRAG.fullmatch(ufrag) is None:
        raise SdpError("malformed a=ice-ufrag")
    if _PASSWORD.fullmatch(password) is None:
        raise SdpError("malformed a=ice-pwd")
    return IceNames(ufrag, password)


def parse_candidates(values: list[bytes]) -> tuple[Candidate, ...]:
    """The UDP candidates of components 1 and 2; others are passed over (RFC 8839 §5.1)."""
    found = []
    for value in values[:_MOST_CANDIDATES]:
        match = _CANDIDATE.fullmatch(value)
        if match is not None and int(match[4]) <= 65_535:
            host = match[3].decode("ascii").lower()
            found.append(Candidate(int(match[1]), int(match[2]), host, int(match[4]), match[5]))
    return tuple(found)


def host_candidate(component: int, host: str, port: int) -> bytes:
    """The value of the one kind of candidate that an agent with a public address has."""
    # RFC 8445 §5.1.2.1: type preference 126, local preference 65535.
    priority = (126 << 24) + (65_535 << 8) + (256 - component)
    return b"1 %d udp %d %s %d typ host" % (component, priority, host.encode("ascii"), port)


# --- DTLS (RFC 8122, RFC 4145) ---------------------------------------------------------------------------------

_FINGERPRINT = re.compile(rb"([A-Za-z0-9\-]{3,16}) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){1,63})[ \t]*")
# Digest lengths in bytes. MD2 and MD5 must not be believed (RFC 8122 §5).
HASHES: Final[Mapping[bytes, int]] = MappingProxyType(
    {b"sha-1": 20, b"sha-224": 28, b"sha-256": 32, b"sha-384": 48, b"sha-512": 64}
)
_MOST_FINGERPRINTS = 8


class Fingerprint(NamedTuple):
    """A certificate's digest."""

    algorithm: bytes
    digest: bytes

    def __bytes__(self) -> bytes:
        return self.algorithm + b" " + self.digest.hex(":").upper().encode("ascii")


def parse_fingerprints(values: list[bytes]) -> tuple[Fingerprint, ...]:
    """All that can be read and believed."""
    found = []
    for value in values[:_MOST_FINGERPRINTS]:
        match = _FINGERPRINT.fullmatch(value)
        if match is not None:
            fingerprint = Fingerprint(match[1].lower(), bytes.fromhex(match[2].replace(b":", b"").decode("ascii")))
            if HASHES.get(fingerprint.algorithm) == len(fingerprint.digest):
                found.append(fingerprint)
    return tuple(found)


# --- SDES (RFC 4568, RFC 6188, RFC 7714) -----------------------------------------------------------------------

# crypto-attribute = "a=crypto:" tag 1*WSP crypto-suite 1*WSP key-params *(1*WSP session-param)
# key-info = "inline:" key||salt ["|" lifetime] ["|" MKI ":" length]
_CRYPTO = re.compile(
    rb"(\d{1,9})[ \t]+(\w{1,64})[ \t]+inline:([A-Za-z0-9+/]{1,128}={0,2})"
    rb"(?:\|(?:2\^)?\d{1,20})?(\|\d{1,20}:\d{1,3})?((?:[ \t]+[!-~]+)*)[ \t]*",
    re.IGNORECASE,
)
# Bytes of key and salt, of the suites that we speak, in the order in which we offer them. 80 bits of tag first:
# what every phone has. The AEAD suites with tags of 8 octets and the one without authentication are nobody's need.
SUITES: Final[Mapping[bytes, tuple[int, int]]] = MappingProxyType(
    {
        b"AES_CM_128_HMAC_SHA1_80": (16, 14),
        b"AES_CM_128_HMAC_SHA1_32": (16, 14),
        b"AEAD_AES_128_GCM": (16, 12),
        b"AEAD_AES_256_GCM": (32, 12),
    }
)
_MOST_CRYPTO = 32


class Crypto(NamedTuple):
    """One SDES line. ``key`` is master key and salt; it is kept out of every text that might be logged."""

    tag: int
    suite: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Crypto({self.tag}, {self.suite!r})"

    def __bytes__(self) -> bytes:
        return b"%d %s inline:%s" % (self.tag, self.suite, b64encode(self.key))


def parse_crypto(values: list[bytes]) -> tuple[Crypto, ...]:
    """The lines that we can obey, in the peer's order of preference.

    Passed over (RFC 4568 §6.3.2, §7.1.2): unknown suites, keys of another length, several keys, an MKI, and
    session parameters that change the packets. ``WSH`` is advice, and a name that begins with ``-`` is optional.
    """
    found = []
    for value in values[:_MOST_CRYPTO]:
        match = _CRYPTO.fullmatch(value)
        if match is None or match[4] is not None:
            continue
        sizes = SUITES.get(match[2].upper())
        if sizes is None:
            continue
        if not all(parameter[:1] == b"-" or parameter[:4].upper() == b"WSH=" for parameter in match[5].split()):
            continue
        text = match[3].rstrip(b"=")
        key = b64decode(text + b"=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
        if len(key) == sum(sizes):
            found.append(Crypto(int(match[1]), match[2].upper(), key))
    return tuple(found)
