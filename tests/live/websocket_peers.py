"""Peers of a WebSocket interface: aiohttp's client, which keeps to the rules, and bare sockets, which needn't."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse
from live_machines import HOST, Echo, Recorder, World, interface, receive, started

from engine.boundary import StreamData
from engine.live import LiveSettings

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3, and what a server makes of it
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG, GOING_AWAY = 1002, 1007, 1009, 1001


def head(**changed: str | None) -> bytes:
    """A good request, with some headers changed (``_`` for ``-``) or, None, left out."""
    lines: dict[str, str | None] = {
        "Host": "edge.example.org",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",  # as Firefox writes it
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "sip",
    }
    request = changed.pop("request", None) or "GET / HTTP/1.1"
    lines |= {name.replace("_", "-"): value for name, value in changed.items()}
    text = [request, *(f"{name}: {value}" for name, value in lines.items() if value is not None), "", ""]
    return "\r\n".join(text).encode()


def frame(kind: int, payload: bytes = b"", *, final: bool = True, size: int | None = None, rsv: int = 0) -> bytes:
    """A client's frame with a mask of zeros; ``size`` is what it says of itself."""
    length = len(payload) if size is None else size
    first = final << 7 | rsv << 4 | kind
    if length < 126:
        start = bytes((first, 0x80 | length))
    elif length < 1 << 16:
        start = bytes((first, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        start = bytes((first, 0x80 | 127)) + length.to_bytes(8, "big")
    return start + bytes(4) + payload


class Raw:
    """A peer that says whatever the test likes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()

    async def say(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def answer(self) -> bytes:
        """The head of the edge's answer."""
        got = b""
        while b"\r\n\r\n" not in got:
            chunk = await receive(self.sock)
            assert chunk, got
            got += chunk
        return got

    async def shake(self, **changed: str | None) -> None:
        await self.say(head(**changed))
        assert (await self.answer()).startswith(b"HTTP/1.1 101 ")

    async def hear(self) -> tuple[int, bytes]:
        """The edge's next frame; it is short."""
        async with asyncio.timeout(5):
            start = await self._exactly(2)
            assert not start[1] & 0x80, "a server must not mask (RFC 6455 §5.1)"
            return start[0] & 0x0F, await self._exactly(start[1])

    async def closed(self) -> int:
        """The code of the edge's farewell, which is the next that it says."""
        kind, payload = await self.hear()
        assert kind == CLOSE
        return int.from_bytes(payload[:2], "big")

    async def ended(self) -> bool:
        """Whether the edge has closed, after whatever it said before."""
        try:
            while await receive(self.sock):
                pass
        except ConnectionResetError:
            pass
        return True

    async def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            chunk = await self.loop.sock_recv(self.sock, count - len(got))
            assert chunk, "the edge closed without a farewell"
            got += chunk
        return got


async def raw(world: World) -> Raw:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, world.address)
    return Raw(sock)


async def ws_world(machine: Any = None, settings: LiveSettings | None = None, **more: Any) -> World:
    settings = replace(settings or LiveSettings(), note_interval_s=0.02)
    return await started(machine or Echo(), interface("ws", **more), settings=settings)


@asynccontextmanager
async def agent(world: World, path: str = "/", **options: Any) -> AsyncIterator[ClientWebSocketResponse]:
    """A peer that keeps to the rules."""
    url = f"http://{HOST}:{world.address[1]}{path}"
    async with ClientSession() as session, session.ws_connect(url, protocols=["sip"], **options) as ws:
        yield ws


async def still_serves(world: World) -> None:
    """Another agent comes, and is served."""
    async with agent(world) as ws:
        await ws.send_str("are you there?")
        assert (await ws.receive(5)).data == "are you there?"


def heard(machine: Recorder) -> list[bytes]:
    return [event.data for event in machine.of(StreamData)]
