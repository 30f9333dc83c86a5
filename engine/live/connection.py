"""One TCP connection, whichever side opened it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from engine.boundary import Address, Flow, StreamClosed, StreamData, StreamOpened
from engine.live.errors import reason_of
from engine.live.port import Context


class Opening:
    """A connection on its way to ``peer``, and the Sends that wait for it."""

    def __init__(self, peer: Address) -> None:
        self.peer = peer  # as dialled: may be spelt otherwise than the peer's own name for itself (IPv6)
        self.queue: list[tuple[Flow, bytes]] = []
        self.queued_bytes = 0
        self.task: asyncio.Task[None] | None = None

    def add(self, flow: Flow, data: bytes) -> None:
        self.queue.append((flow, data))
        self.queued_bytes += len(data)


class Connection(asyncio.Protocol):
    """Feeds what comes; cuts off a peer that doesn't read, so that one slow reader costs a bounded buffer."""

    def __init__(
        self, flow: Flow, opening: Opening | None, context: Context, on_lost: Callable[[Connection], None]
    ) -> None:
        self.flow = flow
        self.opening = opening  # None: accepted
        self.last_heard = context.loop.time()
        self.reads = 0
        self.writes = 0
        self._context = context
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reason = "closed by peer"

    @property
    def addresses(self) -> set[Address]:
        """What a Send may call the peer."""
        return {self.flow.peer, self.opening.peer} if self.opening else {self.flow.peer}

    @property
    def closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.opening:
            for _, data in self.opening.queue:
                self.write(data)
            self.opening.queue.clear()
        self._context.feed((StreamOpened(self.flow),))

    def data_received(self, data: bytes) -> None:
        self.last_heard = self._context.loop.time()
        self.reads += 1
        self._context.feed((StreamData(self.flow, bytes(data)),))

    def connection_lost(self, error: Exception | None) -> None:
        self._on_lost(self)
        reason = reason_of(error) if error else self._reason
        self._context.feed((StreamClosed(self.flow, reason),))

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        transport.write(data)
        self.writes += 1
        if transport.get_write_buffer_size() > self._context.settings.write_buffer_bytes:
            self.abort("peer reads too slowly")

    def close(self, reason: str) -> None:
        """Send what was written before, then close."""
        if self._transport and not self._transport.is_closing():
            self._reason = reason
            self._transport.close()

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
