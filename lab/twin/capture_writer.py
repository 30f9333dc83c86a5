"""Messages of a simulation or a rehearsal as a capture, which Wireshark, sngrep and `read_capture` open."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from struct import pack
from typing import Final

from engine.boundary import Address
from engine.live.frames import TEXT, frame
from lab.errors import InputError
from sim.trace import MessageRecord

_FILE_HEAD: Final = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101)  # LINKTYPE_RAW: packets begin with IP
_ICMP, _TCP, _UDP = 1, 6, 17
_ACK_PUSH: Final = 0x18
_EXCHANGE: Final = (
    b"GET / HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: c2lwdHdpbiBjYXB0dXJlIQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Protocol: sip\r\n\r\n",
)


def write_capture(messages: Iterable[MessageRecord], path: str | Path) -> Path:
    """Write what was sent. TLS is in the clear, hand-shakes of TCP are left out.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    file = Path(path)
    sent: dict[tuple[Address, Address], int] = {}
    data = bytearray(_FILE_HEAD)
    for message in sorted(messages, key=lambda each: (each.sent_s, each.order)):
        source, destination = message.seen or (message.source, message.destination)
        for packet in _packets(message, source, destination, sent):
            seconds, fraction = divmod(round(message.sent_s * 1_000_000), 1_000_000)
            data += pack("<IIII", seconds, fraction, len(packet), len(packet)) + packet
    try:
        file.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot write {file} ({(error.strerror or '').lower()}) - choose another file") from None
    return file


def _packets(
    message: MessageRecord, source: Address, destination: Address, sent: dict[tuple[Address, Address], int]
) -> Iterable[bytes]:
    if message.transport == "udp":
        head = pack(">HHHH", source[1], destination[1], 8 + len(message.data), 0)
        packet = _ip(_UDP, source, destination, head + message.data)
        yield packet
        if message.fate == "unreachable" and packet[0] >> 4 == 4:
            # Port unreachable (RFC 792): the IP header of what was sent, and eight octets more
            icmp = pack(">BBHI", 3, 3, 0, 0) + packet[:28]
            yield _ip(_ICMP, destination, source, icmp[:2] + pack(">H", _checksum(icmp)) + icmp[4:])
        return
    payload = message.data
    if message.transport in ("ws", "wss"):
        if (source, destination) not in sent and (destination, source) not in sent:
            yield _segment(source, destination, _EXCHANGE[0], sent)
            yield _segment(destination, source, _EXCHANGE[1], sent)
        payload = frame(TEXT, payload)
    yield _segment(source, destination, payload, sent)


def _segment(
    source: Address, destination: Address, payload: bytes, sent: dict[tuple[Address, Address], int]
) -> bytes:
    number = sent.get((source, destination), 1)
    sent[source, destination] = number + len(payload)
    back = sent.setdefault((destination, source), 1)
    head = pack(">HHIIBBHHH", source[1], destination[1], number, back, 5 << 4, _ACK_PUSH, 65_535, 0, 0)
    return _ip(_TCP, source, destination, head + payload)


def _ip(protocol: int, source: Address, destination: Address, payload: bytes) -> bytes:
    one, other = ip_address(source[0]), ip_address(destination[0])
    if isinstance(one, IPv4Address) and isinstance(other, IPv4Address):
        head = (
            pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0) + one.packed + other.packed
        )
        return head[:10] + pack(">H", _checksum(head)) + head[12:] + payload
    assert isinstance(one, IPv6Address)
    return pack(">IHBB", 6 << 28, len(payload), protocol, 64) + one.packed + other.packed + payload


def _checksum(head: bytes) -> int:
    total = sum(int.from_bytes(head[at : at + 2], "big") for at in range(0, len(head), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
