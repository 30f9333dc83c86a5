"""One WebSocket connection that carries SIP (RFC 7118): a message a frame, text or binary as the peer does."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

from aiohttp.http import WebSocketReader, WSCloseCode

from engine.boundary import SIP_SUBPROTOCOL, Input, Pong, StreamData
from engine.live.connection import Connection, Opening, Owner
from engine.live.errors import endpoint
from engine.live.frames import BINARY, PING, PONG, TEXT, Masking, close_frame, frame, frame_reader
from engine.live.handshake import ClientHandshake, Handshake, ServerHandshake
from engine.live.port import Context

_NO_FAULT: Final = (0, WSCloseCode.OK, WSCloseCode.GOING_AWAY)


class WebSocketConnection(Connection):
    """Shakes hands, reads and writes frames, answers pings, says farewell.

    ``origins`` are the web pages whose scripts may connect; empty: all.
    """

    __slots__ = ("_binary", "_farewell_said", "_handshake", "_inbox", "_masking", "_reader")

    def __init__(
        self,
        opening: Opening | None,
        context: Context,
        owner: Owner,
        origins: Collection[str],
        subprotocol: str = SIP_SUBPROTOCOL,
    ) -> None:
        super().__init__(opening, context, owner)
        self._handshake: Handshake | None
        if opening:
            self._handshake = ClientHandshake(endpoint(*opening.asked), context.loop, subprotocol)
        else:
            self._handshake = ServerHandshake(origins, context.loop, subprotocol)
        self._reader: WebSocketReader | None = None
        self._masking = Masking(masked=opening is None)
        self._inbox: list[Input] = []
        self._binary = False
        self._farewell_said = False

    @property
    def closing(self) -> bool:
        return self._farewell_said or super().closing

    # --- what asyncio tells -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._handshake:
            data = self._shake(self._handshake, data)
        if data and self._reader:  # without: broken; what comes until the peer has heard so is of no interest
            if not self._masking.keeps(data):
                self.broken(WSCloseCode.PROTOCOL_ERROR)
                return
            self._reader.feed_data(data)
            if self._inbox:
                self._hear(self._inbox)
                self._inbox.clear()

    def connection_lost(self, error: Exception | None) -> None:
        self._handshake = self._reader = None  # it holds this connection
        super().connection_lost(error)

    def _begin(self) -> None:
        assert self._handshake is not None
        if first_words := self._handshake.first_words():
            self._put(first_words)

    def _shake(self, handshake: Handshake, data: bytes) -> bytes:
        """Go on with the hand-shake; return the frames that came behind it."""
        outcome = handshake.feed(data)
        if outcome is None:
            return b""
        self._handshake = None
        if outcome.reply:
            self._put(outcome.reply)
        if outcome.refusal:
            self._failed = outcome.refusal
            super().close(self._reason)
            return b""
        settings = self._context.settings
        self._reader = frame_reader(self, settings.websocket_message_bytes, self._context.loop)
        self._open()
        return outcome.rest

    # --- what the reader finds ----------------------------------------------------------------------------

    def take(self, kind: int, payload: bytes) -> None:
        """A whole message."""
        if kind == PING:
            self._put_frame(PONG, bytes(payload))
        elif self._farewell_said or self.flow is None:
            return
        elif kind == PONG:
            self._inbox.append(Pong(self.flow))
        elif kind == TEXT and not _is_utf8(payload):
            self.broken(WSCloseCode.INVALID_TEXT)  # RFC 6455 §8.1
        else:
            self._binary = kind == BINARY
            if payload:
                self._inbox.append(StreamData(self.flow, payload))

    def farewell(self, code: int) -> None:
        """The peer's close frame: answer it where it is the first one, then end (RFC 6455 §7.1.1)."""
        if not self._farewell_said:
            self.farewell_heard = code in _NO_FAULT
            self._say_farewell(code, "closed by peer" if code in _NO_FAULT else f"closed by peer ({code})")
        super().close(self._reason)

    def broken(self, code: int) -> None:
        """The peer broke the rules: say so, and let it hear it before the end."""
        self._reader = None
        if not self._farewell_said:
            self._say_farewell(code, f"peer breaks the rules of WebSocket ({code})")

    # --- what the port orders -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._put_frame(BINARY if self._binary or not _is_utf8(data) else TEXT, data)

    def ping(self) -> None:
        if not self.closing:
            self._put_frame(PING, b"")

    def close(self, reason: str) -> None:
        """Say farewell, wait for the peer's for a bounded time, then end."""
        if self.flow is None:
            super().close(reason)
        elif not self.closing:
            self._say_farewell(WSCloseCode.GOING_AWAY, reason)

    def _say_farewell(self, code: int, reason: str) -> None:
        self._farewell_said = True
        self._reason = reason
        self._put(close_frame(code, self._mask()))
        self._cut_later()

    def _put_frame(self, kind: int, payload: bytes) -> None:
        self._put(frame(kind, payload, self._mask()))

    def _mask(self) -> bytes:
        """Clients mask what they send, servers must not (RFC 6455 §5.1)."""
        return os.urandom(4) if self.opening else b""


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
