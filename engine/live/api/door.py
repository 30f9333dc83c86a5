"""Who may stand at a listener of the API, and for how long: strangers must not keep operators out."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """Bounds of one listener, and patience."""

    connections: int = 64
    idle_s: float = 15.0  # until the head of a request is whole, the first or the next one
    body_s: float = 10.0  # until its body is
    linger_s: float = 1.0  # for the rest of a body that nobody wants
    look_s: float = 0.5  # between two looks whether the health check over TCP is to be open


class Door:
    """Makes the protocol of each connection; one too many makes the one give way that has the least claim to stay.

    That is an idle one, whose request has not yet been found good: of the address that holds most, the oldest.
    ``busy`` are the others; who answers requests keeps it.
    """

    def __init__(self, settings: DoorSettings) -> None:
        self.settings = settings
        self.busy: set[asyncio.BaseProtocol] = set()
        self._server: web.Server | None = None

    async def open(self, app: web.Application) -> web.AppRunner:
        """Serve this application; who gets the result cleans it up."""
        settings = self.settings
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1.0,
            handle_signals=False,
            keepalive_timeout=settings.idle_s,
            lingering_time=settings.linger_s,
        )
        await runner.setup()
        self._server = runner.server
        return runner

    def __call__(self) -> asyncio.BaseProtocol:
        assert self._server is not None
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._make_room)  # in the next turn it will have its transport
        return self._server()

    def _make_room(self) -> None:
        assert self._server is not None
        standing = [each for each in self._server.connections if each.transport is not None]
        held = Counter(_address(each) for each in standing)
        while len(standing) > self.settings.connections:
            idle = [each for each in standing if each not in self.busy] or standing[-1:]
            leaving = max(idle, key=lambda each: held[_address(each)])  # of equals the first, which is the oldest
            held[_address(leaving)] -= 1
            standing.remove(leaving)
            transport = leaving.transport
            leaving.force_close()
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()  # whatever it has not read yet


def _address(handler: web.RequestHandler) -> str:
    """The IP address of a connection's far end; "" on a Unix socket."""
    peer = handler.transport.get_extra_info("peername") if handler.transport is not None else None
    return str(peer[0]) if isinstance(peer, tuple) else ""
