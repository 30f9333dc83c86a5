"""Messages of the NG protocol: a cookie, a space, a dictionary; and their framing on TCP, where nothing else tells
where one ends."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.media.ng.bencode import BencodeError, Told, Value, decode, decode_first, encode

_LONGEST_COOKIE: Final = 64


class NgMessage(NamedTuple):
    """One order or answer."""

    cookie: bytes
    content: dict[bytes, Value]

    def text(self, key: bytes) -> bytes:
        """The string under a key; empty where there is none."""
        value = self.content.get(key, b"")
        return value if isinstance(value, bytes) else b""


def write_message(cookie: bytes, content: Told) -> bytes:
    """The octets of a message."""
    return cookie + b" " + encode(content)


def read_message(data: bytes) -> NgMessage:
    """The message that a datagram is.

    Raises
    ------
    BencodeError
        Where it is none.
    """
    cookie, space, text = data.partition(b" ")
    if not space or not 0 < len(cookie) <= _LONGEST_COOKIE:
        raise BencodeError("no cookie")
    return NgMessage(cookie, _dictionary(decode(text)))


class NgStream:
    """The messages of one connection."""

    __slots__ = ("_buffer", "_most")

    def __init__(self, most: int) -> None:
        self._buffer = b""
        self._most = most

    def feed(self, data: bytes) -> list[NgMessage]:
        """The messages that are whole now.

        Raises
        ------
        BencodeError
            Where the boundary is lost: the connection is of no use any more.
        """
        self._buffer += data
        found: list[NgMessage] = []
        while self._buffer:
            message, end = self._first()
            if message is None:
                if len(self._buffer) > self._most:
                    raise BencodeError("longer than is taken")
                break
            found.append(message)
            self._buffer = self._buffer[end:]
        return found

    def _first(self) -> tuple[NgMessage | None, int]:
        space = self._buffer.find(b" ", 0, _LONGEST_COOKIE + 1)
        if space < 0 and len(self._buffer) <= _LONGEST_COOKIE:
            return None, 0
        if space <= 0:
            raise BencodeError("no cookie")
        try:
            content, end = decode_first(self._buffer, space + 1)
        except BencodeError as error:
            if error.partial:
                return None, 0
            raise
        return NgMessage(self._buffer[:space], _dictionary(content)), end


def _dictionary(value: Value) -> dict[bytes, Value]:
    if not isinstance(value, dict):
        raise BencodeError("no dictionary")
    return value
