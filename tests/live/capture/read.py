"""Readers of what captures write, apart from the writers: pcap (LINKTYPE_RAW) and HEPv3."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """One datagram of a pcap."""

    at: float
    source: tuple[str, int]
    destination: tuple[str, int]
    data: bytes
    length: int  # as it was on the wire


def pcap(text: bytes) -> list[Seen]:
    """All datagrams; every length and checksum must be right."""
    magic, major, minor, _zone, _accuracy, _longest, link = struct.unpack_from("<IHHiIII", text)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 101)
    at, found = 24, []
    while at < len(text):
        seconds, micros, kept, length = struct.unpack_from("<IIII", text, at)
        frame = text[at + 16 : at + 16 + kept]
        assert len(frame) == kept
        at += 16 + kept
        found.append(_datagram(seconds + micros / 1e6, frame, length))
    return found


def _datagram(at: float, frame: bytes, length: int) -> Seen:
    if frame[0] >> 4 == 4:
        assert _sum(frame[:20]) == 0xFFFF
        assert struct.unpack_from("!H", frame, 2)[0] == len(frame)
        ends, protocol, udp = frame[12:20], frame[9], frame[20:]
        pseudo = ends + struct.pack("!BBH", 0, 17, len(udp))
    else:
        assert struct.unpack_from("!H", frame, 4)[0] == len(frame) - 40
        ends, protocol, udp = frame[8:40], frame[6], frame[40:]
        pseudo = ends + struct.pack("!IHBB", len(udp), 0, 0, 17)
    assert protocol == 17
    from_port, to_port, size, _checksum = struct.unpack_from("!HHHH", udp)
    assert size == len(udp)
    assert _sum(pseudo + udp) == 0xFFFF
    half = len(ends) // 2
    source, destination = (str(ipaddress.ip_address(part)) for part in (ends[:half], ends[half:]))
    return Seen(at, (source, from_port), (destination, to_port), udp[8:], length)


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def hep(datagram: bytes) -> dict[int, Any]:
    """The chunks of one HEPv3 datagram by their kind."""
    assert datagram[:4] == b"HEP3"
    assert struct.unpack_from("!H", datagram, 4)[0] == len(datagram)
    at, chunks = 6, {}
    while at < len(datagram):
        vendor, kind, size = struct.unpack_from("!HHH", datagram, at)
        assert vendor == 0
        chunks[kind] = datagram[at + 6 : at + size]
        at += size
    assert at == len(datagram)
    return chunks
