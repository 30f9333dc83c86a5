"""The node of ``benchmarks.storm``: ``HOST:PORT``. It accepts every registration.

Reads ``reach EDGE_HOST:PORT`` from standard input: it asks each contact that it was given, by way of the edge, and
says in a line of JSON how many have answered.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any, cast

from engine.live.sockets import size_buffer

SOCKET_BUFFER_BYTES = 16 * 1024 * 1024
LAST_ANSWERS_S = 2.0
_HEADERS = (b"Via", b"From", b"To", b"Call-ID", b"CSeq")


def answer(request: bytes, *lines: bytes) -> bytes:
    """A 200 to this request."""
    copied = [line for line in request.split(b"\r\n") if line.partition(b":")[0] in _HEADERS]
    return b"\r\n".join([b"SIP/2.0 200 OK", *copied, *lines, b"Content-Length: 0", b"", b""])


class Node(asyncio.DatagramProtocol):
    """Accepts every registration, remembers the last contact of each user, and can ask them all."""

    def __init__(self) -> None:
        self.contacts: dict[bytes, bytes] = {}
        self.answered: set[bytes] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        sock = transport.get_extra_info("socket")
        size_buffer(sock, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)  # its losses must not count as the edge's

    def datagram_received(self, data: bytes, peer: Any) -> None:
        assert self._transport is not None
        if data.startswith(b"REGISTER"):
            lines = {line.partition(b":")[0]: line for line in data.split(b"\r\n")}
            user = lines[b"To"].partition(b"sip:")[2].partition(b"@")[0]
            self.contacts[user] = lines[b"Contact"].partition(b"<")[2].partition(b">")[0]
            self._transport.sendto(answer(data, lines[b"Contact"]), peer)
        elif data.startswith(b"OPTIONS"):
            self._transport.sendto(answer(data), peer)
        elif data.startswith(b"SIP/2.0 200"):
            self.answered.add(data.partition(b"branch=z9hG4bK")[2].partition(b"\r\n")[0])

    def ask(self, user: bytes, edge: tuple[str, int], here: bytes) -> None:
        assert self._transport is not None
        message = (
            b"OPTIONS %b SIP/2.0\r\nVia: SIP/2.0/UDP %b;branch=z9hG4bK%b\r\nMax-Forwards: 70\r\n"
            b"From: <sip:node@%b>;tag=n\r\nTo: <%b>\r\nCall-ID: ask-%b\r\nCSeq: 1 OPTIONS\r\n"
            b"Content-Length: 0\r\n\r\n"
        ) % (self.contacts[user], here, user, here, self.contacts[user], user)
        self._transport.sendto(message, edge)

    async def reach(self, edge: tuple[str, int], here: bytes) -> dict[str, int]:
        """Ask everybody; who answers?"""
        self.answered.clear()
        for number, user in enumerate(list(self.contacts)):
            self.ask(user, edge, here)
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(LAST_ANSWERS_S)
        return {"contacts": len(self.contacts), "answered": len(self.answered)}


def place(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host, int(port)


async def main() -> None:
    here = sys.argv[1]
    loop = asyncio.get_running_loop()
    _, node = await loop.create_datagram_endpoint(Node, local_addr=place(here))
    while line := await asyncio.to_thread(sys.stdin.readline):
        told = await node.reach(place(line.split()[1]), here.encode())
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
