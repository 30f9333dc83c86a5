"""The values of ``o=``, ``c=``, ``m=`` and ``b=`` lines (RFC 8866 §5), each pattern with the ABNF of §9."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.media.sdp.errors import SdpError

# origin-field = "o=" username SP sess-id SP sess-version SP nettype SP addrtype SP unicast-address
# Numbers of any length are legal; FreeSWITCH and Chromium stay below 2^63, longer than 30 digits is nobody's.
_ORIGIN = re.compile(rb"(\S+) +(\d{1,30}) +(\d{1,30}) +(\S+) +(\S+) +(\S+)[ \t]*")
# connection-field = "c=" nettype SP addrtype SP connection-address; multicast ones carry "/ttl" and "/count"
_CONNECTION = re.compile(rb"IN +(IP4|IP6) +([A-Za-z0-9._:\-]{1,255})((?:/\d{1,3}){0,2})[ \t]*", re.IGNORECASE)
# media-field = "m=" media SP port ["/" integer] SP proto 1*(SP fmt)
_MEDIA = re.compile(
    rb"([A-Za-z0-9\-_.!]{1,32}) +(\d{1,5})(?:/(\d{1,3}))? +([A-Za-z0-9/\-_.]{1,64})((?: +\S+)+)[ \t]*"
)
# bandwidth-field = "b=" bwtype ":" bandwidth
_BANDWIDTH = re.compile(rb"[A-Za-z0-9\-_.]+:[ \t]*\d+[ \t]*")

_MAX_FORMATS = 64


class Origin(NamedTuple):
    """An ``o=`` line: with ``session_id`` it names the session, ``version`` counts its descriptions."""

    username: bytes
    session_id: int
    version: int
    address_type: bytes
    address: bytes

    def __bytes__(self) -> bytes:
        numbers = b"%d %d" % (self.session_id, self.version)
        return b" ".join((self.username, numbers, b"IN", self.address_type, self.address))


class Connection(NamedTuple):
    """A ``c=`` line. ``host`` may be a name; ``scope`` is the ``/ttl/count`` of a multicast one."""

    host: str
    scope: bytes = b""

    def __bytes__(self) -> bytes:
        return b"IN %s %s%s" % (address_type(self.host), self.host.encode("ascii"), self.scope)


class MediaLine(NamedTuple):
    """An ``m=`` line. Port 0 means that the stream is not wanted (RFC 3264 §5.1, §6)."""

    kind: bytes
    port: int
    port_count: int
    protocol: bytes
    formats: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        port = b"%d" % self.port if self.port_count == 1 else b"%d/%d" % (self.port, self.port_count)
        return b" ".join((self.kind, port, self.protocol, *self.formats))


def address_type(host: str) -> bytes:
    """``IP4`` or ``IP6``; a name counts as IP4, as everybody writes it."""
    return b"IP6" if ":" in host else b"IP4"


def parse_origin(value: bytes) -> Origin:
    match = _ORIGIN.fullmatch(value)
    if match is None:
        raise SdpError("malformed o= line")
    return Origin(match[1], int(match[2]), int(match[3]), match[5], match[6])


def parse_connection(value: bytes) -> Connection:
    match = _CONNECTION.fullmatch(value)
    if match is None:
        raise SdpError("malformed c= line")
    return Connection(match[2].decode("ascii").lower(), match[3])


def parse_media(value: bytes) -> MediaLine:
    match = _MEDIA.fullmatch(value)
    if match is None:
        raise SdpError("malformed m= line")
    port = int(match[2])
    if port > 65_535:
        raise SdpError("port in m= line above 65535")
    formats = tuple(match[5].split())
    if len(formats) > _MAX_FORMATS:
        raise SdpError("too many formats in m= line")
    return MediaLine(match[1], port, int(match[3] or 1), match[4], formats)


def check_bandwidth(value: bytes) -> None:
    if _BANDWIDTH.fullmatch(value) is None:
        raise SdpError("malformed b= line")
