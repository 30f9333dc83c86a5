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
