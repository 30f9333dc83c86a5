"""From a captured packet to what travelled in it: link layers, IP, and UDP, TCP or ICMP over it."""

from __future__ import annotations

from ipaddress import ip_address
from struct import error, unpack_from
from typing import Final, NamedTuple, TypeAlias

from engine.boundary import Address

_ETHERNET, _RAW_BSD, _RAW, _NULL, _SLL, _SLL2 = 1, 12, 101, 0, 113, 276
_RAW_4, _RAW_6, _LOOP = 228, 229, 108
_IP4, _IP6, _VLANS = 0x0800, 0x86DD, (0x8100, 0x88A8)
_ICMP, _TCP, _UDP, _FRAGMENT = 1, 6, 17, 44
_EXTENSIONS: Final = (0, 43, 60)  # hop-by-hop, routing, destination options
FIN, SYN, RST = 0x01, 0x02, 0x04


class Udp(NamedTuple):
    """One datagram."""

    source: Address
    destination: Address
    data: bytes


class Tcp(NamedTuple):
    """One segment."""

    source: Address
    destination: Address
    number: int
    flags: int
    data: bytes


class PortUnreachable(NamedTuple):
    """ICMP: nobody has this UDP port open."""

    port: Address


Content: TypeAlias = Udp | Tcp | PortUnreachable


def content_of(link: int, data: bytes) -> Content | None:
    """What a packet carries; None where that is nothing to us, or not whole."""
    try:
        kind, packet = _network(link, data)
        return _content(kind, packet)
    except (error, IndexError, ValueError):
        return None


def known_link(link: int) -> bool:
    """Whether packets of this link type can be read."""
    return link in (_ETHERNET, _RAW_BSD, _RAW, _RAW_4, _RAW_6, _NULL, _LOOP, _SLL, _SLL2)


def _network(link: int, data: bytes) -> tuple[int, bytes]:
    """Ethertype and packet of the network layer."""
    if link == _ETHERNET:
        (kind,), at = unpack_from(">H", data, 12), 14
        while kind in _VLANS:
            (kind,) = unpack_from(">H", data, at + 2)
            at += 4
        return kind, data[at:]
    if link == _SLL:
        return unpack_from(">H", data, 14)[0], data[16:]
    if link == _SLL2:
        return unpack_from(">H", data)[0], data[20:]
    packet = data[4:] if link in (_NULL, _LOOP) else data
    return (_IP6 if packet[0] >> 4 == 6 else _IP4), packet


def _content(kind: int, packet: bytes) -> Content | None:
    if kind == _IP4:
        length, _, fragment = unpack_from(">HHH", packet, 2)
        if fragment & 0x3FFF:
            return None  # a part of a datagram: too long for its path
        head = (packet[0] & 15) * 4
        # Offloading cards leave the length 0.
        return _transport(packet[9], packet[12:16], packet[16:20], packet[head : length or len(packet)])
    if kind == _IP6:
        protocol, at = packet[6], 40
        while protocol in _EXTENSIONS:
            protocol, at = packet[at], at + (packet[at + 1] + 1) * 8
        if protocol == _FRAGMENT:
            return None
        length = int(unpack_from(">H", packet, 4)[0])
        return _transport(
            protocol, packet[8:24], packet[24:40], packet[at : 40 + length if length else len(packet)]
        )
    return None


def _transport(protocol: int, source: bytes, destination: bytes, data: bytes) -> Content | None:
    if protocol == _UDP:
        from_port, to_port, size = unpack_from(">HHH", data)
        payload = data[8 : size or len(data)]
        return Udp((_host(source), from_port), (_host(destination), to_port), payload)
    if protocol == _TCP:
        from_port, to_port, number, _, words, flags = unpack_from(">HHIIBB", data)
        return Tcp(
            (_host(source), from_port), (_host(destination), to_port), number, flags, data[(words >> 4) * 4 :]
        )
    if protocol == _ICMP and data[0] == 3 and data[1] == 3:  # port unreachable; what was sent stands in it
        inner = data[8:]
        if inner[9] == _UDP:
            (port,) = unpack_from(">H", inner, (inner[0] & 15) * 4 + 2)
            return PortUnreachable((_host(inner[16:20]), port))
    return None


def _host(octets: bytes) -> str:
    return str(ip_address(octets))
