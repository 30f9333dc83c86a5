"""Frames of an open WebSocket (RFC 6455 §5): read by aiohttp, written here."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

# aiohttp keeps this one class to itself, and its reader takes no other. Hence the bound on aiohttp's version.
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketError, WebSocketReader, WSCloseCode, WSMsgType

TEXT: Final = WSMsgType.TEXT.value
BINARY: Final = WSMsgType.BINARY.value
CLOSE: Final = WSMsgType.CLOSE.value
PING: Final = WSMsgType.PING.value
PONG: Final = WSMsgType.PONG.value

_FINAL: Final = 0x80
_MASKED: Final = 0x80
_MASK_BYTES: Final = 4
_LONGEST_HEAD: Final = 10  # without the mask


class Receiver(Protocol):
    """Who gets what is read."""

    def take(self, kind: int, payload: bytes) -> None:
        """A whole message: TEXT, BINARY, PING or PONG."""

    def farewell(self, code: int) -> None:
        """A CLOSE; 0 where it bears no code."""

    def broken(self, code: int) -> None:
        """The peer broke the rules; nothing more is read, and this is the code to close with."""


class _Inbox(WebSocketDataQueue):
    """Hands each message on at once.

    aiohttp's own queue keeps them for a task to read; one task for each idle connection would cost more than all
    the rest of it.
    """

    __slots__ = ("_receiver",)

    def __init__(self, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(None, 0, loop=loop)  # type: ignore[arg-type]  # it never asks anyone to pause
        self._receiver = receiver

    def feed_data(self, data: Any, size: int) -> None:
        kind, payload, _ = data
        if kind == CLOSE:
            self._receiver.farewell(payload)
        else:
            self._receiver.take(kind, payload)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        self._receiver.broken(exc.code if isinstance(exc, WebSocketError) else WSCloseCode.PROTOCOL_ERROR)


def frame_reader(receiver: Receiver, message_bytes_max: int, loop: asyncio.AbstractEventLoop) -> WebSocketReader:
    """Joins fragments and unmasks; its ``feed_data`` calls the receiver. Each holds the other: drop it in time."""
    return WebSocketReader(_Inbox(receiver, loop), message_bytes_max + 1, False, False)


class Masking:
    """Looks whether each frame is masked, as a client's must be, or none is, as a server's (RFC 6455 §5.1).

    aiohttp's reader takes either. What a page could have sent unmasked, an old proxy on the way might take for
    requests (§10.3).
    """

    __slots__ = ("_head", "_left", "_masked")

    def __init__(self, masked: bool) -> None:
        self._masked = masked
        self._head = b""  # of a frame whose length has not come whole
        self._left = 0  # octets of the frame that is being received

    def keeps(self, data: bytes) -> bool:
        """Whether all frames that begin in this piece of the stream keep to the rule."""
        at, size = 0, len(data)
        while self._left < size - at:
            at += self._left
            self._left = 0
            before = len(self._head)
            head = self._head + data[at : at + _LONGEST_HEAD - before]
            if len(head) > 1 and (head[1] >= _MASKED) != self._masked:
                return False
            length = head[1] % _MASKED if len(head) > 1 else 0
            needed = 2 + {126: 2, 127: 8}.get(length, 0)
            if len(head) < needed:
                self._head = head
                return True
            if needed > 2:
                length = int.from_bytes(head[2:needed], "big")
            self._head = b""
            self._left = length + (_MASK_BYTES if self._masked else 0)
            at += needed - before
        self._left -= size - at
        return True


def frame(kind: int, payload: bytes, mask: bytes = b"") -> bytes:
    """One whole message as a frame; a client masks it with four random bytes (§5.3)."""
    size = len(payload)
    masked = _MASKED if mask else 0
    if size < 126:
        head = bytes((_FINAL | kind, masked | size))
    elif size < 1 << 16:
        head = bytes((_FINAL | kind, masked | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | kind, masked | 127)) + size.to_bytes(8, "big")
    return head + mask + _xor(payload, mask) if mask else head + payload


def close_frame(code: int, mask: bytes = b"") -> bytes:
    """A farewell; without a code where that is 0."""
    return frame(CLOSE, code.to_bytes(2, "big") if code else b"", mask)


def _xor(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
