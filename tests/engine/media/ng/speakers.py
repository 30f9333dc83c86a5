"""Sides of a call on sockets, for what rtpengine itself relays and measures."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from engine.boundary import Address
from tests.engine.media.written import crlf


class Speaker:
    """One side: RTP of PCMU with its RTCP beside it."""

    def __init__(self, host: str, ssrc: int) -> None:
        self.host = host
        self.ssrc = ssrc
        self.rtp, self.rtcp = _pair(host)
        self.port = self.rtp.getsockname()[1]

    def description(self) -> bytes:
        return crlf(f"""
v=0
o=- 1 1 IN IP4 {self.host}
s=-
c=IN IP4 {self.host}
t=0 0
m=audio {self.port} RTP/AVP 0
""")

    def speaks(self, number: int, target: Address, payload_type: int = 0) -> None:
        packet = struct.pack("!BBHII", 0x80, payload_type, number, number * 160, self.ssrc) + bytes(160)
        self.rtp.sendto(packet, target)

    def reports(self, moment: int, target: Address, *, heard: int = 0, at: int = 0, lost: int = 0) -> None:
        """A sender's report; or with ``heard`` one on who has that SSRC, whose report of ``at`` came 20 ms ago."""
        if heard:
            block = struct.pack("!IIIIII", heard, 26 << 24 | lost, moment, 40, at << 16, int(0.02 * 65_536))
            packet = struct.pack("!BBHI", 0x81, 201, 7, self.ssrc) + block
        else:
            packet = struct.pack("!BBHIIIIII", 0x80, 200, 6, self.ssrc, moment, 0, 0, moment, moment * 160)
        self.rtcp.sendto(packet, (target[0], target[1] + 1))

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def _pair(host: str) -> tuple[socket.socket, socket.socket]:
    """An even port and the next."""
    while True:
        one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        one.bind((host, 0))
        port = one.getsockname()[1]
        try:
            if port % 2 == 0:
                other.bind((host, port + 1))
                return one, other
        except OSError:
            pass
        one.close()
        other.close()


@contextmanager
def speakers(*hosts: str) -> Iterator[list[Speaker]]:
    with ExitStack() as stack:
        found = [Speaker(host, 10 + number) for number, host in enumerate(hosts)]
        for each in found:
            stack.callback(each.close)
        yield found
