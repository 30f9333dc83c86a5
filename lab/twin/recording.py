"""What was said in a deployment, message by message: from a capture, a rehearsal or a simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from engine.boundary import Address, Transport
from lab.errors import InputError
from lab.twin.capture_file import read_packets
from lab.twin.packets import PortUnreachable, Tcp, Udp, content_of, known_link
from lab.twin.streams import Direction
from sim.trace import MessageRecord

_LONGEST_FIRST_LINE: Final = 4096


class Heard(NamedTuple):
    """One SIP message on the wire, and when it was seen, in seconds from the recording's first message."""

    time_s: float
    source: Address
    destination: Address
    transport: Transport
    data: bytes


@dataclass(frozen=True, slots=True)
class Recording:
    """Messages in the order of time, and what else was seen.

    Attributes
    ----------
    name : str
        Where it is from.
    messages : tuple of Heard
        All SIP messages, repeated ones too.
    refused : tuple of (float, Address)
        When an ICMP error told that nobody has this port open.
    encrypted : int
        TLS connections, in which nothing can be read.
    """

    name: str
    messages: tuple[Heard, ...]
    refused: tuple[tuple[float, Address], ...] = ()
    encrypted: int = 0

    @property
    def duration_s(self) -> float:
        """From the first message to the last."""
        return self.messages[-1].time_s if self.messages else 0.0


def read_capture(path: str | Path) -> Recording:
    """Read the SIP messages of a capture: over UDP, TCP and WebSocket.

    Parameters
    ----------
    path : str or path
        A pcap or pcapng file.

    Raises
    ------
    InputError
        If the file cannot be read, or there is no SIP in it.
    """
    file = Path(path)
    found: list[Heard] = []
    refused: list[tuple[float, Address]] = []
    directions: dict[tuple[Address, Address], Direction] = {}
    odd_links: Counter[int] = Counter()
    for packet in read_packets(file):
        content = content_of(packet.link, packet.data)
        if isinstance(content, Udp):
            if is_sip(content.data):
                found.append(Heard(packet.time_s, content.source, content.destination, "udp", content.data))
        elif isinstance(content, Tcp):
            direction = directions.setdefault((content.source, content.destination), Direction())
            for data in direction.feed(content):
                if is_sip(data):
                    transport: Transport = "ws" if direction.kind == "ws" else "tcp"
                    found.append(Heard(packet.time_s, content.source, content.destination, transport, data))
        elif isinstance(content, PortUnreachable):
            refused.append((packet.time_s, content.port))
        elif not known_link(packet.link):
            odd_links[packet.link] += 1
    encrypted = sum(each.kind == "tls" for each in directions.values()) // 2
    if not found:
        why = f"; its link type {next(iter(odd_links))} is not known" if odd_links else ""
        why = f"; its {encrypted} TLS connections cannot be read" if encrypted else why
        raise InputError(f"{file} has no SIP message{why} - capture the edge's plain side, or decrypted traffic")
    found.sort(key=lambda heard: heard.time_s)
    zero_s = found[0].time_s
    return Recording(
        file.name,
        tuple(heard._replace(time_s=heard.time_s - zero_s) for heard in found),
        tuple((time_s - zero_s, port) for time_s, port in refused),
        encrypted,
    )


def recording_of(messages: Iterable[MessageRecord], name: str) -> Recording:
    """The recording of a simulation or a rehearsal: what was sent, when it was sent, whether or not it arrived.

    Times stay the run's own.
    """
    ordered = sorted(messages, key=lambda message: (message.sent_s, message.order))
    told = [message for message in ordered if is_sip(message.data)]
    return Recording(
        name,
        tuple(Heard(m.sent_s, *(m.seen or (m.source, m.destination)), m.transport, m.data) for m in told),
        tuple((m.time_s, m.destination) for m in told if m.fate == "unreachable"),
    )


def is_sip(data: bytes) -> bool:
    """Whether this looks like a SIP message rather than a keep-alive, STUN or media."""
    line = data[:_LONGEST_FIRST_LINE].partition(b"\r\n")[0]
    return line.startswith(b"SIP/2.0 ") or line.endswith(b" SIP/2.0")
