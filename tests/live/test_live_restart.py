"""`siptwin serve` as its user starts it, killed by SIGKILL, started anew: no acknowledged registration is lost."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

from aiohttp import ClientError, ClientSession, WSMsgType
from live_machines import in_loop, until

from engine.boundary import Flow
from tests.engine.wire import Wire, message, reply, uri_of

NET = f"127.87.{os.getpid() // 60 % 250}.{os.getpid() % 60 * 4}"  # loopback addresses for this process alone
EDGE, NODE, AGENTS = (f"{NET.rpartition('.')[0]}.{int(NET.rpartition('.')[2]) + n}" for n in (1, 2, 3))
WEB_PORT = 5066
PHONES, PAGES = 20, 5
BACK_OFF_S = 0.2

TOPOLOGY = f"""
edges:
  edge1:
    interfaces:
      phones: {{host: {EDGE}}}
      pages: {{host: {EDGE}, port: {WEB_PORT}, transport: ws}}
    registrar: {{secret: known to each life of the edge}}
nodes:
  FS1: {{host: {NODE}}}
"""


def register(user: str, via: str, contact: str, cseq: int) -> bytes:
    return message(
        "REGISTER sip:lab.test SIP/2.0",
        f"Via: SIP/2.0/{via};branch=z9hG4bK{user}{cseq};rport",
        "Max-Forwards: 70",
        f"From: <sip:{user}@lab.test>;tag=1",
        f"To: <sip:{user}@lab.test>",
        f"Call-ID: {user}",
        f"CSeq: {cseq} REGISTER",
        f"Contact: <{contact}>;expires=600",
    )


class Node:
    """Accepts every registration, and can send each user a MESSAGE."""

    def __init__(self, sock: socket.socket) -> None:
        self.registers: list[str] = []
        self.contacts: dict[str, str] = {}
        self._sock = sock

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            heard = Wire(await loop.sock_recv(self._sock, 65_535), Flow("", ("", 0)), 0.0)
            if heard.method == "REGISTER":
                user = heard["call-id"]
                self.registers.append(user)
                self.contacts[user] = uri_of(heard["contact"])
                granted = f"Contact: <{self.contacts[user]}>;expires=180"
                self._sock.sendto(reply(heard, 200, granted, tag="n"), (EDGE, 5060))
            elif heard.method == "OPTIONS":
                self._sock.sendto(reply(heard, 200, tag="n"), (EDGE, 5060))

    def tell(self, user: str) -> None:
        uri = self.contacts[user]
        data = message(
            f"MESSAGE {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {NODE};branch=z9hG4bKm{user}",
            "Max-Forwards: 70",
            "From: <sip:n@lab.test>;tag=n",
            f"To: <{uri}>",
            f"Call-ID: m{user}",
            "CSeq: 1 MESSAGE",
        )
        self._sock.sendto(data, (EDGE, 5060))


class Phone:
    """Registers once, and remembers what it hears."""

    def __init__(self, user: str, sock: socket.socket) -> None:
        self.user = user
        self.registered = False
        self.told = False
        self._sock = sock

    async def serve(self) -> None:
        asking = asyncio.create_task(self._ask())
        while True:
            data = await asyncio.get_running_loop().sock_recv(self._sock, 65_535)
            self.registered = self.registered or data.startswith(b"SIP/2.0 200")
            self.told = self.told or data.startswith(b"MESSAGE ")
            if self.registered:
                asking.cancel()

    async def _ask(self) -> None:
        cseq = 0
        while True:  # until the edge is up
            cseq += 1
            contact = f"sip:{self.user}@192.168.1.20"
            with suppress(OSError):
                self._sock.sendto(register(self.user, "UDP 192.168.1.20", contact, cseq), (EDGE, 5060))
            await asyncio.sleep(0.3)


class Page:
    """Registers over a WebSocket, and over another one when that is lost."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.registrations = 0
        self.told = False

    async def serve(self) -> None:
        cseq = 0
        async with ClientSession() as session:
            while True:
                cseq += 1
                with suppress(ClientError):
                    await self._connected(session, cseq)
                await asyncio.sleep(BACK_OFF_S)

    async def _connected(self, session: ClientSession, cseq: int) -> None:
        async with session.ws_connect(f"http://{EDGE}:{WEB_PORT}", protocols=["sip"]) as ws:
            host = f"{self.user}.invalid"
            data = register(self.user, f"WS {host}", f"sip:{self.user}@{host};transport=ws", cseq)
            await ws.send_str(data.decode())
            async for got in ws:
                if got.type is WSMsgType.TEXT:
                    self.registrations += got.data.startswith("SIP/2.0 200")
                    self.told = self.told or got.data.startswith("MESSAGE ")


@asynccontextmanager
async def at_work(*servers: Node | Phone | Page) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.serve()) for each in servers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def bound(stack: ExitStack, host: str, port: int = 0) -> socket.socket:
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


def serve(stack: ExitStack, folder: Path) -> subprocess.Popen[bytes]:
    log = stack.enter_context((folder / "edge.log").open("ab"))
    command = [sys.executable, "-m", "lab.cli", "serve", "one.yaml", "--control", str(folder / "control")]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stack.callback(process.wait, 10)
    stack.callback(process.kill)
    return process


def test_phones_are_reached_at_once_and_pages_when_they_are_back(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(TOPOLOGY)

    async def scenario() -> None:
        with ExitStack() as stack:
            node = Node(bound(stack, NODE, 5060))
            phones = [Phone(f"phone{number}", bound(stack, AGENTS)) for number in range(PHONES)]
            pages = [Page(f"page{number}") for number in range(PAGES)]
            process = serve(stack, tmp_path)
            async with at_work(node, *phones, *pages):
                await until(lambda: all(phone.registered for phone in phones), 15)
                await until(lambda: all(page.registrations for page in pages))
                before = len(node.registers)
                process.kill()
                process.wait()
                serve(stack, tmp_path)
                await until(lambda: all(page.registrations == 2 for page in pages), 15)
                assert sorted(node.registers[before:]) == [page.user for page in pages]
                for user in node.contacts:
                    node.tell(user)
                await until(lambda: all(agent.told for agent in (*phones, *pages)))

    in_loop(scenario)
