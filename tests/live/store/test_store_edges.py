"""Two serving edges with one MariaDB: one is killed, its agents come back through the other and are called."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crowd import Callers, Node, Phones
from servers import Server

from engine.live.store import Database, schema

NAMES = ("edge1", "edge2")
USERS = [str(number) for number in range(1000, 1020)]
TOPOLOGY = """
edges:
  edge1: &edge
    interfaces: {{both: {{host: {hosts[0]}}}}}
    store: main
    peers: [edges]
    probe: {{interval_s: 0.2, timeout_s: 0.2, leave_after: 2}}
    api: {{host: {hosts[0]}, port: 8080, token_env: SIPTWIN_TEST_TOKEN}}
    health: {{host: {hosts[0]}, http_port: 8081, tcp_port: 8082}}
  edge2:
    <<: *edge
    interfaces: {{both: {{host: {hosts[1]}}}}}
    api: {{host: {hosts[1]}, port: 8080, token_env: SIPTWIN_TEST_TOKEN}}
    health: {{host: {hosts[1]}, http_port: 8081, tcp_port: 8082}}
databases: {{main: {{url: "{url}"}}}}
nodes: {{FS1: {{host: {node[0]}, port: {node[1]}, resources: pstn=1000}}}}
"""


class Agent(Callers, Phones):
    """One who is registered and calls."""


class Pair:
    """Both edges as their user serves them."""

    def __init__(self, folder: Path) -> None:
        number = os.getpid()
        self.hosts = [f"127.79.{number // 120 % 250}.{number % 120 * 2 + each}" for each in (1, 2)]
        self.folder = folder
        self.processes: dict[str, Process] = {}

    def address(self, name: str) -> tuple[str, int]:
        return self.hosts[NAMES.index(name)], 5060

    async def start(self, name: str) -> None:
        with (self.folder / "stderr").open("ab") as stderr:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lab.cli", "serve", str(self.folder / "pair.yaml"), "--edge", name),
                *("--control", str(self.folder / name), "--log-format", "json"),
                *("--log-file", str(self.folder / f"{name}.log")),
                stderr=stderr,
                env={**os.environ, "SIPTWIN_TEST_TOKEN": "of these tests"},
            )
        async with asyncio.timeout(30):
            while not await self.is_healthy(name):
                assert self.processes[name].returncode is None, (self.folder / "stderr").read_text()
                await asyncio.sleep(0.05)

    async def kill(self, name: str) -> None:
        self.processes[name].kill()
        await self.processes[name].wait()

    async def is_healthy(self, name: str) -> bool:
        """As a balancer asks: a connection is taken, and /health says 200."""
        host, _ = self.address(name)
        try:
            _, writer = await asyncio.open_connection(host, 8082)
            writer.close()
            reader, writer = await asyncio.open_connection(host, 8081)
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
        except OSError:
            return False
        return b" 200 " in status

    async def told(self, name: str, event: str, times: int = 1) -> list[dict[str, object]]:
        """An edge's Notes of one kind, when there are so many."""
        async with asyncio.timeout(10):
            while True:
                lines = (self.folder / f"{name}.log").read_text().splitlines()
                found = [note for note in map(json.loads, lines) if note["event"] == event]
                if len(found) >= times:
                    return found
                await asyncio.sleep(0.02)


@asynccontextmanager
async def served(folder: Path, url: str) -> AsyncIterator[tuple[Pair, Node, Phones, Agent]]:
    pair = Pair(folder)
    first = pair.address("edge1")
    parties = node, phones, agent = Node(first), Phones(first), Agent(first)
    try:
        for party in parties:
            await party.open(pair.hosts[0])
        host, _, port = node.here.rpartition(":")
        (folder / "pair.yaml").write_text(TOPOLOGY.format(hosts=pair.hosts, url=url, node=(host, port)))
        for name in NAMES:
            await pair.start(name)
        yield pair, node, phones, agent
    finally:
        for process in pair.processes.values():
            if process.returncode is None:
                process.kill()
                await process.wait()
        for party in parties:
            party.close()


async def reached(node: Node, phones: Phones, user: str, edge: tuple[str, int], contact: str) -> bool:
    """Whether a call of the node that it sends to an edge reaches the user."""
    phones.heard.clear()
    node.edge = edge
    head = ("From: <sip:n@n>;tag=m", f"To: <sip:{user}@lab.test>", f"Call-ID: {user}.{edge[0]}")
    answer = await node.ask("INVITE", contact, *head, "CSeq: 1 INVITE", f"Contact: <sip:n@{node.here}>")
    return answer is not None and answer.status == 200 and phones.reached(user)


def test_agents_of_a_killed_edge_are_reached_through_the_other_as_soon_as_they_are_back(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue("mariadb_server")
    url = server.database("pair")
    database = Database(url)
    schema.create(database)
    database.close()

    async def scenario() -> None:
        async with served(tmp_path, url) as (pair, node, phones, agent):
            one, two = pair.address("edge1"), pair.address("edge2")
            assert all([await phones.register(user) for user in USERS])
            before = dict(node.contacts)
            assert await agent.register("1900")
            call = await agent.call()
            assert call.up
            await pair.kill("edge1")
            assert not await pair.is_healthy("edge1")
            assert await pair.is_healthy("edge2")
            phones.edge = agent.edge = two  # where the balancer sends them from now on
            assert all([await phones.register(user, cseq=2) for user in USERS])
            for user in USERS:
                assert await reached(node, phones, user, two, node.contacts[user])
            await pair.told("edge2", "peer.lost")
            assert await agent.within(call, "BYE")  # its Route names the dead edge

            await pair.start("edge1")
            (_, restored) = await pair.told("edge1", "records.restored", 2)
            assert restored["bindings"] == len(USERS) + 1
            await pair.told("edge2", "peer.returned")
            for user in USERS:  # a node that still knows the edge before
                assert await reached(node, phones, user, one, before[user])

    asyncio.run(scenario())
