"""The health check over TCP: a connection is taken while new calls are, and refused otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from engine.live.errors import LiveError, endpoint, reason_of


class Beacon:
    """Listens while ``healthy`` says so, and looks each ``look_s``."""

    def __init__(self, host: str, port: int, healthy: Callable[[], bool], look_s: float) -> None:
        self.address = (host, port)
        self._healthy = healthy
        self._look_s = look_s
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the port, whether healthy or not: one that is taken is to be known at the start.

        Raises
        ------
        LiveError
            It cannot be opened.
        """
        try:
            await self._open()
        except OSError as error:
            where = endpoint(*self.address)
            raise LiveError(
                f"cannot open the API at {where}: {reason_of(error)} - choose another address"
            ) from None
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _open(self) -> None:
        self._server = await asyncio.start_server(_accept, *self.address)
        self.address = self._server.sockets[0].getsockname()[:2]

    async def _watch(self) -> None:
        while True:
            try:
                healthy = self._healthy()
                if not healthy:
                    self._shut()
                elif self._server is None:
                    with suppress(OSError):  # somebody took the port meanwhile: it is tried again
                        await self._open()
            except Exception as error:  # who can't say how it is, is not well; the next look may be better
                self._shut()
                context = {"message": "the health check over TCP failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
            await asyncio.sleep(self._look_s)

    def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def close(self) -> None:
        """Refuse from now on."""
        if self._task is not None:
            self._task.cancel()
        self._shut()


async def _accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A health check over TCP asks no more than that somebody accepts."""
    writer.close()
