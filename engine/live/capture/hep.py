"""HEPv3, as Homer's collectors take it: each message as chunks in one datagram."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Final

from engine.boundary import Address
from engine.live.capture.messages import MESSAGE_BYTES_MAX
from engine.live.capture.tap import Packet
from engine.live.errors import LiveError, reason_of

_SIP: Final = 1
_PROTOCOLS: Final = {"udp": 17}  # all else rides on TCP
_TCP: Final = 6
_SPARE_BYTES: Final = 500  # for the chunks beside the message


def encode(packet: Packet, agent_id: int) -> bytes:
    """One message, HEP version 3."""
    v6 = ":" in packet.source[0] or ":" in packet.destination[0]
    family = socket.AF_INET6 if v6 else socket.AF_INET
    seconds = int(packet.at)
    body = b"".join(
        (
            _chunk(1, struct.pack("!B", 10 if v6 else 2)),
            _chunk(2, struct.pack("!B", _PROTOCOLS.get(packet.transport, _TCP))),
            _chunk(5 if v6 else 3, _packed(family, packet.source)),
            _chunk(6 if v6 else 4, _packed(family, packet.destination)),
            _chunk(7, struct.pack("!H", packet.source[1])),
            _chunk(8, struct.pack("!H", packet.destination[1])),
            _chunk(9, struct.pack("!I", seconds)),
            _chunk(10, struct.pack("!I", int((packet.at - seconds) * 1e6))),
            _chunk(11, struct.pack("!B", _SIP)),
            _chunk(12, struct.pack("!I", agent_id)),
            _chunk(15, packet.data[: MESSAGE_BYTES_MAX - _SPARE_BYTES]),
            _chunk(17, packet.call_id[:255]),
        )
    )
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def _chunk(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", 0, kind, 6 + len(value)) + value  # vendor 0: the generic chunks


def _packed(family: socket.AddressFamily, address: Address) -> bytes:
    try:
        return socket.inet_pton(family, address[0])
    except OSError:  # a name, or of the other family
        return bytes(16 if family == socket.AF_INET6 else 4)


class HomerSender:
    """Sends packets to a collector. What its socket does not take at once is lost: calls come first.

    Raises
    ------
    LiveError
        The collector's name does not resolve.
    """

    def __init__(self, collector: Address, agent_id: int) -> None:
        self.sent = 0
        self.lost = 0
        self._agent_id = agent_id
        try:
            found = socket.getaddrinfo(collector[0], collector[1], type=socket.SOCK_DGRAM)[0]
        except (OSError, UnicodeError) as error:
            reason = reason_of(error)
            raise LiveError(
                f"homer: {collector[0]}: {reason} - correct its host, or write its IP address"
            ) from None
        self._sock = socket.socket(found[0], socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.connect(found[4])

    def __call__(self, packet: Packet) -> None:
        try:
            self._sock.send(encode(packet, self._agent_id))
            self.sent += 1
        except OSError:
            self.lost += 1

    def close(self) -> None:
        with suppress(OSError):
            self._sock.close()
