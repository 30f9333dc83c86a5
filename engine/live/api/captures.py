"""Captures by order: streamed to the one who asks as pcap, or sent to Homer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from engine.live.api import models
from engine.live.capture import Capture, Packet, pcap

if TYPE_CHECKING:
    from engine.live.api.routes import Asked
    from engine.live.api.service import Service

PCAP_TYPE: Final = "application/vnd.tcpdump.pcap"
_QUEUE: Final = 10_000  # messages that wait for a slow reader; the rest is left out
_LOOK_EVERY_S: Final = 0.5  # whether the reader is still there


async def stream(service: Service, asked: Asked) -> web.StreamResponse:
    """Write what is captured as it comes, until the time is over or the reader goes."""
    query: models.CaptureQuery = asked.query
    queue: asyncio.Queue[Packet] = asyncio.Queue(_QUEUE)

    def take(packet: Packet) -> None:
        with suppress(asyncio.QueueFull):
            queue.put_nowait(packet)

    capture = Capture(service.wanted(query.call_id, query.user), take)
    service.begin_capture(capture)
    try:
        response = web.StreamResponse(headers={"Content-Type": PCAP_TYPE})
        await response.prepare(asked.request)
        await response.write(pcap.HEADER)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(query.seconds):
                while not _gone(asked.request):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_EVERY_S):
                            packet = await queue.get()
                        await response.write(pcap.record(packet))
        with suppress(ConnectionError):
            await response.write_eof()
        return response
    finally:
        service.end_capture(capture)


def _gone(request: web.Request) -> bool:
    """Whether the reader has closed the connection: without packets no write would tell."""
    return request.transport is None or request.transport.is_closing()


async def to_homer(service: Service, asked: Asked) -> models.Done:
    """Send what is captured to the collector of the topology, for so long."""
    order: models.CaptureOrder = asked.body
    sender = service.homer()
    capture = Capture(service.wanted(order.call_id, order.user), sender)
    service.begin_for_homer(capture, order.seconds)
    return models.Done(what=f"sent to Homer for {order.seconds:g} s")


async def end(service: Service, _asked: Asked) -> models.Done:
    """End what is sent to the collector by order."""
    return models.Done(what=f"{service.end_all_for_homer()} captures ended")
