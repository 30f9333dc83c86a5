"""What a datagram on a media port is, by its first octets (RFC 7983, RFC 5761), and whether it can be RTP."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, Literal, TypeAlias

from engine.stun import LAST_FIRST_OCTET, is_stun

PacketKind: TypeAlias = Literal["rtp", "rtcp", "stun", "dtls", "other"]

_RTP_HEADER_BYTES: Final = 12
_RTCP_HEADER_BYTES: Final = 8
_FEWEST_DTLS_BYTES: Final = 13  # a record's header (RFC 6347 §4.1)
_MARKER: Final = 0x80


def packet_kind(data: bytes) -> PacketKind:
    """Which protocol a datagram belongs to; ``other``: none of a media port's, or too short for its own."""
    if not data:
        return "other"
    first = data[0]
    if 128 <= first <= 191:
        # RFC 5761 §4: where both share a port the second octet tells them apart.
        if len(data) >= _RTCP_HEADER_BYTES and 192 <= data[1] <= 223:
            return "rtcp"
        return "rtp" if len(data) >= _RTP_HEADER_BYTES else "other"
    if first <= LAST_FIRST_OCTET:
        return "stun" if is_stun(data) else "other"
    if 20 <= first <= 63 and len(data) >= _FEWEST_DTLS_BYTES:
        return "dtls"
    return "other"


def is_expected_rtp(data: bytes, payload_types: Container[int]) -> bool:
    """Whether this is RTP of a negotiated payload type, with the whole header that it tells of (RFC 3550 §5.1)."""
    if packet_kind(data) != "rtp" or data[1] & ~_MARKER not in payload_types:
        return False
    needed = _RTP_HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:  # an extension: its length stands in its second half-word
        if len(data) < needed + 4:
            return False
        needed += 4 + 4 * int.from_bytes(data[needed + 2 : needed + 4])
    return len(data) >= needed
