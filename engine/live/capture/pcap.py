"""pcap: each message as one UDP datagram, whatever it came by, so that any tool shows it as SIP."""

from __future__ import annotations

import socket
import struct
from typing import Final

from engine.boundary import Address
from engine.live.capture.messages import MESSAGE_BYTES_MAX
from engine.live.capture.tap import Packet

_RAW_IP: Final = 101  # LINKTYPE_RAW: packets begin with the IP header
HEADER: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, _RAW_IP)
_UDP: Final = 17


def record(packet: Packet) -> bytes:
    """One record of the file, below ``HEADER``."""
    data = packet.data[:MESSAGE_BYTES_MAX]
    frame = _ip(packet.source, packet.destination, data)
    whole = len(frame) + len(packet.data) - len(data)
    seconds = int(packet.at)
    micros = int((packet.at - seconds) * 1e6)
    return struct.pack("<IIII", seconds, micros, len(frame), whole) + frame


def _ip(source: Address, destination: Address, data: bytes) -> bytes:
    length = 8 + len(data)
    ports = struct.pack("!HH", source[1], destination[1])
    if ":" in source[0] or ":" in destination[0]:
        ends = _packed(socket.AF_INET6, source[0]) + _packed(socket.AF_INET6, destination[0])
        pseudo = ends + struct.pack("!IHBB", length, 0, 0, _UDP)
        head = struct.pack("!IHBB", 6 << 28, length, _UDP, 64) + ends
    else:
        ends = _packed(socket.AF_INET, source[0]) + _packed(socket.AF_INET, destination[0])
        pseudo = ends + struct.pack("!BBH", 0, _UDP, length)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, _UDP, 0) + ends
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    udp = ports + struct.pack("!HH", length, 0)
    checksum = _checksum(pseudo + udp + data) or 0xFFFF
    return head + ports + struct.pack("!HH", length, checksum) + data


def _packed(family: socket.AddressFamily, host: str) -> bytes:
    try:
        return socket.inet_pton(family, host)
    except OSError:  # a name, or of the other family
        return bytes(16 if family == socket.AF_INET6 else 4)


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
