"""Packets of a capture file: pcap and pcapng, as tcpdump, Wireshark and sngrep write them.

Read here rather than by a library: both formats take a hundred lines, what is above them (TCP in order, frames of
WebSockets, SIP) no small library has, and each mistake of a file is to be told in one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct, error, unpack_from
from typing import Final, NamedTuple

from lab.errors import InputError

_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _SIMPLE, _ENHANCED = 1, 3, 6
_END_OF_OPTIONS, _IF_TSRESOL, _IF_TSOFFSET = 0, 9, 14
_LONGEST: Final = 1 << 24  # no block or packet of a sound file is longer


class Packet(NamedTuple):
    """One packet: when it was seen (seconds since 1970), its link type (LINKTYPE_...), and its octets."""

    time_s: float
    link: int
    data: bytes


class _Source(NamedTuple):
    """An interface of a pcapng section."""

    link: int
    tick_s: float
    offset_s: float


def read_packets(path: Path) -> Iterator[Packet]:
    """The packets of a file, in its order.

    A file that ends within a packet (tcpdump was killed) is read as far as it goes.

    Raises
    ------
    InputError
        If it cannot be read, or is no capture.
    """
    try:
        data = path.read_bytes()
    except OSError as failure:
        raise InputError(f"cannot read {path} ({(failure.strerror or '').lower()}) - correct the path") from None
    try:
        if data[:4] in _PCAP:
            yield from _read_pcap(data, path)
        elif data[:4] == _SECTION:
            yield from _read_pcapng(data, path)
        else:
            raise InputError(f"{path} is no capture - give a pcap or pcapng file, as tcpdump -w writes it")
    except error:
        return  # its last packet is not whole


def _read_pcap(data: bytes, path: Path) -> Iterator[Packet]:
    order, tick_s = _PCAP[data[:4]]
    (link,) = unpack_from(f"{order}I", data, 20)
    record = Struct(f"{order}IIII")
    at = 24
    while at < len(data):
        seconds, fraction, kept, _ = record.unpack_from(data, at)
        if kept > _LONGEST:
            raise InputError(f"{path} is damaged at octet {at} - capture again, or cut it with editcap")
        at += record.size
        if at + kept > len(data):
            return
        yield Packet(seconds + fraction * tick_s, link & 0xFFFF, data[at : at + kept])
        at += kept


def _read_pcapng(data: bytes, path: Path) -> Iterator[Packet]:
    sources: list[_Source] = []
    order, at = "<", 0
    while at + 12 <= len(data):
        if data[at : at + 4] == _SECTION:
            mark = _BYTE_ORDER.get(data[at + 8 : at + 12])
            if mark is None:
                raise InputError(f"{path} is damaged at octet {at} - capture again, or convert it with editcap")
            order, sources = mark, []
        kind, size = unpack_from(f"{order}II", data, at)
        if size < 12 or size % 4 or size > _LONGEST:
            raise InputError(f"{path} is damaged at octet {at} - capture again, or convert it with editcap")
        block = data[at + 8 : at + size - 4]
        at += size
        if at > len(data):
            return
        if kind == _INTERFACE:
            sources.append(_source(order, block))
        elif kind == _ENHANCED:
            number, high, low, kept, _ = unpack_from(f"{order}IIIII", block)
            if number < len(sources):
                source = sources[number]
                time_s = ((high << 32) | low) * source.tick_s + source.offset_s
                yield Packet(time_s, source.link, block[20 : 20 + kept])
        elif kind == _SIMPLE and sources:
            raise InputError(f"{path} has packets without times - capture it anew with tcpdump -w")


def _source(order: str, block: bytes) -> _Source:
    (link,) = unpack_from(f"{order}H", block)
    tick_s, offset_s, at = 1e-6, 0.0, 8
    while at + 4 <= len(block):
        code, size = unpack_from(f"{order}HH", block, at)
        value = block[at + 4 : at + 4 + size]
        if code == _END_OF_OPTIONS:
            break
        if code == _IF_TSRESOL and value:
            tick_s = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
        elif code == _IF_TSOFFSET and size == 8:
            offset_s = float(unpack_from(f"{order}q", value)[0])
        at += 4 + (size + 3) // 4 * 4
    return _Source(link, tick_s, offset_s)
