"""One connection over TCP, whichever side opened it; TLS and WebSocket ride on the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol, cast

from engine.boundary import Address, Flow, Input, StreamClosed, StreamData, StreamOpened
from engine.live.errors import reason_of
from engine.live.port import Context


class Opening:
    """A connection on its way to a peer, and the Sends that wait for it."""

    def __init__(self, asked: Address, address: Address) -> None:
        self.asked = asked  # as the Send names it
        self.address = address  # as dialled: may be spelt otherwise than the peer's own name for itself (IPv6)
        self.queue: list[tuple[Flow, bytes]] = []
        self.queued_bytes = 0
        self.task: asyncio.Task[None] | None = None

    def add(self, flow: Flow, data: bytes) -> None:
        self.queue.append((flow, data))
        self.queued_bytes += len(data)


class HandshakeError(OSError):
    """One side refused the other's hand-shake; the text says why."""


class Owner(Protocol):
    """The port, as its connections see it."""

    def opened(self, connection: Connection, peer: Address) -> Flow:
        """A connection stands: give it its flow."""

    def lost(self, connection: Connection) -> None:
        """A connection that stood is gone."""


class Connection(asyncio.Protocol):
    """Feeds what comes; cuts off a peer that doesn't read, so that one slow reader costs a bounded buffer.

    It is *open* from the end of its hand-shakes (TLS, WebSocket) on; only then does the machine hear of it.
    """

    __slots__ = (
        "_context",
        "_cut",
        "_failed",
        "_opened",
        "_owner",
        "_reason",
        "_transport",
        "farewell_heard",
        "flow",
        "opening",
        "reads",
        "writes",
    )

    def __init__(self, opening: Opening | None, context: Context, owner: Owner) -> None:
        self.opening = opening  # None: accepted
        self.flow: Flow | None = None  # None: not open yet
        self.farewell_heard = False
        self.reads = 0
        self.writes = 0
        self._context = context
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] | None = context.loop.create_future()
        self._cut: asyncio.TimerHandle | None = None
        self._reason = "closed by peer"
        self._failed = ""  # why the hand-shake came to nothing, where it was refused

    async def until_open(self) -> None:
        """Wait for the end of the hand-shakes.

        Raises
        ------
        OSError
            The peer is gone or was refused.
        """
        if self._opened:
            await self._opened

    @property
    def closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    # --- what asyncio tells -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        if self.flow:
            self._hear([StreamData(self.flow, data)])

    def connection_lost(self, error: Exception | None) -> None:
        reason = reason_of(error) if error else self._reason
        if self._cut:
            self._cut.cancel()
        if self.flow:
            self._owner.lost(self)
            self._context.feed((StreamClosed(self.flow, reason, self.farewell_heard),))
        elif self._opened and not self._opened.done():
            if self._failed:
                error = HandshakeError(self._failed)
            self._opened.set_exception(error if isinstance(error, OSError) else ConnectionError(reason))

    # --- for the transports that have more to do ----------------------------------------------------------

    def _begin(self) -> None:
        """The bytes can flow: shake hands, then open."""
        self._open()

    def _open(self) -> None:
        assert self._transport is not None
        peer = self._transport.get_extra_info("peername")
        if not peer or not self._opened or self._opened.done():  # gone, or given up, in this very moment
            self._transport.abort()
            return
        self.flow = self._owner.opened(self, (peer[0], peer[1]))
        self._opened.set_result(None)
        self._opened = None
        if self.opening:
            for _, data in self.opening.queue:
                if data:
                    self.write(data)
            self.opening.queue.clear()
        self._context.feed((StreamOpened(self.flow, self.opening is None),))

    def _hear(self, inputs: Iterable[Input]) -> None:
        self.reads += 1
        self._context.feed(inputs)

    def _put(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > self._context.settings.write_buffer_bytes:
            self.abort("peer reads too slowly")

    def _cut_later(self) -> None:
        """What is closed but doesn't end, since the peer won't take the rest or say its own farewell, is cut."""
        if not self._cut:
            self._cut = self._context.loop.call_later(
                self._context.settings.close_wait_s, self.abort, self._reason
            )

    # --- what the port orders -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._put(data)

    def ping(self) -> None:
        """Only WebSocket has pings."""

    def close(self, reason: str) -> None:
        """Send what was written before, then close."""
        if self._transport and not self._transport.is_closing():
            self._reason = reason
            self._transport.close()
            self._cut_later()

    def abort(self, reason: str) -> None:
        """Close at once."""
        if self._transport:
            self._reason = reason
            self._transport.abort()

    def pause(self) -> None:
        if not self.closing and self._transport and self._transport.is_reading():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self.closing and self._transport and not self._transport.is_reading():
            self._transport.resume_reading()
