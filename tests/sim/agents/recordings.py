"""Recordings of a real FreeSWITCH (tests/vectors/freeswitch): its messages and its peers', byte for byte."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from engine.boundary import Address

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "freeswitch"
NODES = frozenset(("127.0.1.1", "127.0.1.2"))

_HEADING = re.compile(
    rb"^### \+(\d+\.\d+) UDP ([\d.]+):(\d+) -> ([\d.]+):(\d+) (?:\((\d+) bytes\)|keepalive b'(.*)')$"
)


class Recorded(NamedTuple):
    """One datagram. ``by_node`` tells FreeSWITCH's own from its peers'."""

    time_s: float
    source: Address
    destination: Address
    data: bytes

    @property
    def by_node(self) -> bool:
        return self.source[0] in NODES


def names() -> list[str]:
    """The recorded cases."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(name: str) -> list[Recorded]:
    """The SIP messages and keep-alives of one case; media and ICMP left out."""
    found: list[Recorded] = []
    text = (FOLDER / f"{name}.txt").read_bytes()
    for part in re.split(rb"(?m)^(?=### )", text):
        heading, _, body = part.partition(b"\n")
        match = _HEADING.match(heading)
        if match is None:
            continue
        time, source, source_port, destination, destination_port, size, keepalive = match.groups()
        data = (
            keepalive.decode("unicode_escape").encode("latin-1")
            if size is None
            else body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")[: int(size)]
        )
        record = Recorded(
            float(time),
            (source.decode(), int(source_port)),
            (destination.decode(), int(destination_port)),
            data,
        )
        if int(destination_port) < 16_384 and int(source_port) < 16_384 and record.source != record.destination:
            found.append(record)
    return found
