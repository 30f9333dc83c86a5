"""Agents, for ``benchmarks.storm``: ``ws|udp AGENTS AT_ONCE PACE EDGE_HOST:PORT``.

Reads a phase a line from standard input, answers with a line of JSON when it is done. Phases: ``connect``
(WebSockets without a word), ``register`` (everybody, once, PACE a second; 0: as answers come), ``storm`` (all
connections are cut, everybody comes back, AT_ONCE at a time).

An agent whose connection comes to nothing, or that is refused, is told as late. It tries again: as JsSIP does, or
after the edge's Retry-After.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any, cast

from benchmarks.storm_node import answer

GET = (
    b"GET / HTTP/1.1\r\nHost: edge.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: sip\r\n\r\n"
)
PING = 9
PONG = b"\x8a\x80" + bytes(4)  # empty, and masked by zeros
PACED = 200  # REGISTERs, or hand-shakes, that wait for their answers before the storm
RETRY_S = 2.0  # JsSIP's first
RETRY_AFTER_S = 5.0
PHASE_ENDS_S = 120.0
USERS_PER_SOCKET = 50  # of UDP agents


def frame(message: bytes) -> bytes:
    """A masked text frame; with a mask of zeros the text stays as it is (RFC 6455 §5.3)."""
    size = len(message)
    head = b"\x81" + (bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big"))
    return head + bytes(4) + message


class Agents:
    """What all agents share: numbers, the edge, and how many wait."""

    def __init__(self, transport: str, agents: int, at_once: int, pace: float, edge: tuple[str, int]) -> None:
        self.transport = transport
        self.pace = pace
        self.at_once = at_once
        self.late = 0  # tries that came to nothing
        self.users = [b"a%d" % number for number in range(agents)]
        self.edge = edge
        self.registered = 0
        self.places = asyncio.Semaphore(PACED)
        self.sequence = count(1)

    def register(self, user: bytes, contact: bytes) -> bytes:
        number = next(self.sequence)
        domain = b"%b:%d" % (self.edge[0].encode(), self.edge[1])
        return (
            b"REGISTER sip:%b SIP/2.0\r\nVia: SIP/2.0/%b %b;branch=z9hG4bKr%d;rport\r\nMax-Forwards: 70\r\n"
            b"From: <sip:%b@%b>;tag=t%d\r\nTo: <sip:%b@%b>\r\nCall-ID: r-%b\r\nCSeq: %d REGISTER\r\n"
            b"Contact: <sip:%b@%b>;expires=3600\r\nSupported: path, outbound\r\nUser-Agent: agents\r\n"
            b"Content-Length: 0\r\n\r\n"
        ) % (
            domain, self.transport.upper().encode(), contact.partition(b";")[0], number,
            user, domain, number, user, domain, user, number, user, contact,
        )  # fmt: skip

    def done(self) -> None:
        self.registered += 1
        self.places.release()


class WebAgent(asyncio.Protocol):
    """One agent on its WebSocket."""

    def __init__(self, agents: Agents, user: bytes) -> None:
        self._agents = agents
        self._user = user
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(GET)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.open.done():
            _, found, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if found:
                self.open.set_result(None)
        while len(self._buffer) >= 2:
            size, start = self._buffer[1], 2
            if size == 126:
                if len(self._buffer) < 4:
                    return
                size, start = int.from_bytes(self._buffer[2:4], "big"), 4
            if len(self._buffer) < start + size:
                return
            kind = self._buffer[0] & 0x0F
            message, self._buffer = self._buffer[start : start + size], self._buffer[start + size :]
            if kind == PING and self._transport:
                self._transport.write(PONG)
            elif message.startswith(b"SIP/2.0 200"):
                self._agents.done()
            elif message.startswith(b"SIP/2.0 "):
                self._agents.late += 1
                asyncio.get_running_loop().call_later(RETRY_AFTER_S, self.register)
            elif message.startswith(b"OPTIONS") and self._transport:
                self._transport.write(frame(answer(message)))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.open.done():
            self.open.set_exception(error or ConnectionError("closed in the hand-shake"))

    def register(self) -> None:
        assert self._transport is not None
        contact = b"%b.invalid;transport=ws" % self._user
        self._transport.write(frame(self._agents.register(self._user, contact)))

    def cut(self) -> None:
        if self._transport:
            self._transport.abort()


class UdpAgents(asyncio.DatagramProtocol):
    """Some agents on one socket."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, peer: Any) -> None:
        if data.startswith(b"SIP/2.0 200"):
            self._agents.done()
        elif data.startswith(b"OPTIONS") and self._transport:
            self._transport.sendto(answer(data), peer)

    def register(self, user: bytes) -> None:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        request = self._agents.register(user, b"%b:%d" % (host.encode(), port))
        self._transport.sendto(request, self._agents.edge)


class Load:
    """The phases."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._web: list[WebAgent] = []
        self._udp: list[UdpAgents] = []

    async def connect(self) -> dict[str, Any]:
        agents = self._agents
        loop = asyncio.get_running_loop()
        if agents.transport == "udp":
            for index in range(0, len(agents.users), USERS_PER_SOCKET):
                host = f"127.92.{index // USERS_PER_SOCKET // 250}.{index // USERS_PER_SOCKET % 250 + 1}"
                _, protocol = await loop.create_datagram_endpoint(
                    lambda: UdpAgents(agents), local_addr=(host, 5060)
                )
                self._udp.append(protocol)
        else:
            self._web = [await self._open(user) for user in agents.users]
        return {}

    async def _open(self, user: bytes) -> WebAgent:
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, agent = await loop.create_connection(lambda: WebAgent(self._agents, user), *self._agents.edge)
                await agent.open
                return agent
            except OSError:
                self._agents.late += 1
                await asyncio.sleep(RETRY_S)

    async def register(self) -> dict[str, Any]:
        return await self._all(self._register_one, self._agents.pace)

    async def _register_one(self, index: int) -> None:
        if self._udp:
            self._udp[index // USERS_PER_SOCKET].register(self._agents.users[index])
        else:
            self._web[index].register()

    async def storm(self) -> dict[str, Any]:
        for agent in self._web:
            agent.cut()
        self._agents.places = asyncio.Semaphore(self._agents.at_once)
        return await self._all(self._come_back)

    async def _come_back(self, index: int) -> None:
        if self._web:
            self._web[index] = await self._open(self._agents.users[index])
        await self._register_one(index)

    async def _all(self, what: Callable[[int], Any], pace: float = 0.0) -> dict[str, Any]:
        agents = self._agents
        agents.registered = agents.late = 0
        began = time.monotonic()
        tasks = []
        for index in range(len(agents.users)):
            await agents.places.acquire()
            if pace and (early_s := began + index / pace - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            tasks.append(asyncio.ensure_future(what(index)))
        ends = time.monotonic() + PHASE_ENDS_S
        async with asyncio.timeout(PHASE_ENDS_S):
            await asyncio.gather(*tasks)
        while agents.registered < len(agents.users) and time.monotonic() < ends:
            await asyncio.sleep(0.01)
        elapsed_s = time.monotonic() - began
        return {"registered": agents.registered, "elapsed_s": elapsed_s, "late": agents.late}


async def main() -> None:
    transport, agents, at_once, pace, edge = sys.argv[1:]
    host, _, port = edge.partition(":")
    load = Load(Agents(transport, int(agents), int(at_once), float(pace), (host, int(port))))
    while line := await asyncio.to_thread(sys.stdin.readline):
        told = await getattr(load, line.strip())()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
