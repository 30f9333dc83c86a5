"""Messages on captured connections: TCP in order, WebSockets unwrapped (RFC 6455), SIP cut by Content-Length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from engine.sip.framing import BoundaryLostError, StreamFramer
from lab.twin.packets import FIN, RST, SYN, Tcp

Kind = Literal["unknown", "tcp", "ws", "tls", "other"]

_UPGRADE: Final = re.compile(rb"(?:GET [^\r\n]* HTTP/1\.1|HTTP/1\.1 101[^\r\n]*)\r\n")
_HEAD_END: Final = b"\r\n\r\n"
_SIP: Final = re.compile(rb"(?:SIP/2\.0 |[A-Z]+ sips?:)|\r?\n")
_TLS_HANDSHAKE: Final = b"\x16\x03"
_MOST_HELD: Final = 4 * 1024 * 1024  # octets of a direction whose next segment is missing
_MODULUS: Final = 1 << 32
_TEXT, _BINARY, _CONTINUATION = 1, 2, 0


class Direction:
    """One direction of a connection. ``kind`` becomes known with its first octets."""

    def __init__(self) -> None:
        self.kind: Kind = "unknown"
        self.ended = False
        self._next: int | None = None
        self._early: dict[int, bytes] = {}
        self._buffer = b""
        self._framer = StreamFramer()
        self._frames = b""
        self._message = b""

    def feed(self, segment: Tcp) -> Iterator[bytes]:
        """The messages that a segment completes."""
        if segment.flags & SYN:
            self._next = (segment.number + 1) % _MODULUS
            return
        if self._next is None:  # the capture began later than the connection
            self._next = segment.number
        self.ended = self.ended or bool(segment.flags & (FIN | RST))
        if segment.data:
            self._early.setdefault(segment.number, segment.data)
        yield from self._take(self._in_order())

    def _in_order(self) -> bytes:
        """What has come without a gap; segments that came twice, or in part, count once."""
        assert self._next is not None
        found = b""
        while self._early:
            number = min(self._early, key=lambda each: (each - self._next + _MODULUS // 2) % _MODULUS)  # type: ignore[operator]
            skip = (self._next - number) % _MODULUS
            if skip >= _MODULUS // 2:  # it is still to come
                if sum(map(len, self._early.values())) < _MOST_HELD:
                    break
                self._next, skip = number, 0  # the capture has lost it for good
                self._framer = StreamFramer()
            data = self._early.pop(number)[skip:]
            found += data
            self._next = (self._next + len(data)) % _MODULUS
        return found

    def _take(self, data: bytes) -> Iterator[bytes]:
        if not data:
            return
        if self.kind == "unknown":
            self._buffer += data
            self.kind, data = self._guess()
        if self.kind == "tcp":
            yield from self._cut(data)
        elif self.kind == "ws":
            self._frames += data
            yield from self._unwrap()

    def _guess(self) -> tuple[Kind, bytes]:
        """What this is, and what is left to be read of it."""
        data = self._buffer
        if data.startswith(_TLS_HANDSHAKE):
            return "tls", b""
        if _UPGRADE.match(data):
            head, end, rest = data.partition(_HEAD_END)
            if not end:
                return "unknown", b""
            return ("ws", rest) if b"websocket" in head.lower() else ("other", b"")
        if _SIP.match(data):
            return "tcp", data
        if data[:1] in (b"\x81", b"\x82") and len(data) > 1:  # the capture began after the upgrade
            return "ws", data
        return ("unknown" if len(data) < 16 else "other"), b""

    def _cut(self, data: bytes) -> Iterator[bytes]:
        try:
            messages = self._framer.feed(data)
        except BoundaryLostError as error:
            messages = error.messages
            self._framer = StreamFramer()
        for message in messages:
            yield bytes(message)

    def _unwrap(self) -> Iterator[bytes]:
        """The whole messages among the frames that have come; pings and farewells are left out."""
        while len(self._frames) >= 2:
            first, second = self._frames[0], self._frames[1]
            size, at = second & 0x7F, 2
            if size > 125:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(self._frames[2 : 2 + width], "big"), 2 + width
            key = self._frames[at : at + 4] if second & 0x80 else b""
            at += len(key)
            if len(self._frames) < at + size:
                return
            payload, self._frames = self._frames[at : at + size], self._frames[at + size :]
            if key:
                payload = bytes(octet ^ key[index % 4] for index, octet in enumerate(payload))
            if first & 0x0F in (_TEXT, _BINARY, _CONTINUATION):
                self._message += payload
                if first & 0x80:
                    message, self._message = self._message, b""
                    yield message
