"""kill -9 of a serving edge under load: what it had promised holds in its next life."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from crowd import Call, Callers, Node, Phones, at_rate
from servers import Server

from engine.live.api import ApiClient
from engine.live.store import Database, schema

_SITES = itertools.count()

TOPOLOGY = """
edges: {{edge1: {{interfaces: {{both: {{host: {host}}}}}, store: main}}}}
databases: {{main: {{url: "{url}"}}}}
nodes: {{FS1: {{host: {host}, port: {node}, resources: pstn=100000}}}}
"""


class Site:
    """One edge as its user serves it, with phones and callers before it and a node behind."""

    def __init__(self, folder: Path, url: str) -> None:
        # Nobody else takes the port while the edge is away.
        self.host = f"127.78.{os.getpid() // 200 % 250}.{os.getpid() % 200 + 1}"
        self.folder = folder
        self.url = url
        edge = (self.host, 5060)
        self.node, self.callers, self.phones = Node(edge), Callers(edge), Phones(edge)
        self.process: Process | None = None

    async def open(self) -> None:
        for party in (self.node, self.callers, self.phones):
            await party.open(self.host)
        text = TOPOLOGY.format(host=self.host, url=self.url, node=self.node.here.rpartition(":")[2])
        (self.folder / "site.yaml").write_text(text)
        await self.start()

    async def start(self) -> None:
        with (self.folder / "stderr").open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lab.cli", "serve", str(self.folder / "site.yaml")),
                *("--control", str(self.control), "--log-file", str(self.folder / "log"), "--log-format", "json"),
                stderr=stderr,
            )
        uri = f"sip:{self.host}"
        lines = ("From: <sip:a@b>;tag=1", f"To: <{uri}>", "Call-ID: up", "CSeq: 1 OPTIONS")
        for _ in range(200):
            answer = await self.callers.ask("OPTIONS", uri, *lines, patience_s=0.2)
            if answer is not None and answer.status == 200:
                return
        raise AssertionError((self.folder / "stderr").read_text())

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    @property
    def control(self) -> Path:
        return self.folder / "control"

    async def told(self, event: str, times: int) -> list[dict[str, object]]:
        """The Notes of one kind, when there are so many: a thread of its own writes them."""
        async with asyncio.timeout(10):
            while True:
                lines = (self.folder / "log").read_text().splitlines()
                found = [note for note in map(json.loads, lines) if note["event"] == event]
                if len(found) >= times:
                    return found
                await asyncio.sleep(0.02)

    async def channels(self) -> int:
        (node,) = await asyncio.to_thread(ApiClient(self.control).get, "v1", "nodes")
        return int(node["in_use"].get("pstn", 0))

    async def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            await self.kill()
        for party in (self.node, self.callers, self.phones):
            party.close()


@asynccontextmanager
async def site(folder: Path, url: str) -> AsyncIterator[Site]:
    place = Site(folder, url)
    try:
        await place.open()
        yield place
    finally:
        await place.close()


async def kill_under_load(place: Site, *, standing: int, rate: float, seconds: float, phones: int) -> None:
    """Calls stand, others come and go and phones register, when the edge is killed and started again."""
    setting_up: list[asyncio.Task[Call]] = []
    await at_rate(100, standing / 100, lambda: setting_up.append(asyncio.ensure_future(place.callers.call())))
    calls = [await each for each in setting_up]
    assert all(call.up for call in calls)
    acknowledged: set[str] = set()
    load: set[asyncio.Task[None]] = set()
    users = map(str, itertools.count(1000))
    pace = itertools.count()

    async def come_and_go() -> None:
        call = await place.callers.call()
        if call.up:
            await asyncio.sleep(0.1)
            await place.callers.within(call, "BYE")

    async def register(user: str) -> None:
        if await place.phones.register(user):
            acknowledged.add(user)

    def act() -> None:
        load.add(asyncio.ensure_future(come_and_go()))
        if next(pace) % max(int(rate * seconds / phones), 1) == 0:
            load.add(asyncio.ensure_future(register(next(users))))

    await at_rate(rate, seconds, act)
    promised = set(acknowledged)
    await place.kill()
    for task in load:
        task.cancel()
    assert len(promised) >= phones // 2
    await place.start()

    restored = (await place.told("records.restored", 2))[1]
    assert int(str(restored["bindings"])) >= len(promised)
    assert await place.channels() >= standing
    for method in ("INVITE", "BYE"):
        answered = await one_by_one(100, [partial(place.callers.within, call, method) for call in calls])
        assert sum(answered) >= 0.999 * standing, f"{method}: {sum(answered)} of {standing} answered"
    for user in promised:
        aor = f"<sip:{user}@lab.test>"
        stored = place.node.contacts[user]
        answer = await place.node.ask(
            "MESSAGE", stored, "From: <sip:n@n>;tag=m", f"To: {aor}", f"Call-ID: m{user}", "CSeq: 1 MESSAGE"
        )
        assert answer is not None
        assert answer.status == 200, answer.start
        assert place.phones.reached(user)


async def one_by_one(per_s: float, asks: Sequence[Callable[[], Awaitable[bool]]]) -> list[bool]:
    """What becomes of requests that are sent at this rate."""
    tasks: list[asyncio.Future[bool]] = []
    waiting = iter(asks)
    await at_rate(per_s, len(asks) / per_s, lambda: tasks.append(asyncio.ensure_future(next(waiting)())))
    return [await task for task in tasks]


@pytest.mark.parametrize("server", [None, "mariadb"], ids=["sqlite", "mariadb"])
def test_a_killed_edge_forgets_neither_bindings_nor_calls(
    server: str | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async def scenario() -> None:
        async with site(tmp_path, url_of(server, tmp_path, request)) as place:
            await kill_under_load(place, standing=40, rate=40, seconds=1.5, phones=20)

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("server", [None, "mariadb", "postgresql"], ids=["sqlite", "mariadb", "postgresql"])
def test_at_full_size(server: str | None, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """1,000 calls stand, 100 more come each second, 50 phones register each second."""

    async def scenario() -> None:
        async with site(tmp_path, url_of(server, tmp_path, request)) as place:
            await kill_under_load(place, standing=1000, rate=100, seconds=10, phones=500)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_database_that_is_killed_stops_no_call_and_gets_everything_when_it_is_back(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = url_of(kind, tmp_path, request)
    server: Server = request.getfixturevalue(f"{kind}_server")

    async def scenario() -> None:
        async with site(tmp_path, url) as place:
            calls: list[asyncio.Task[Call]] = []

            def act() -> None:
                calls.append(asyncio.ensure_future(place.callers.call()))

            await at_rate(20, 0.5, act)
            server.kill()
            try:
                await at_rate(20, 2, act)
                assert await place.phones.register("1000")
                assert await place.told("store.lost", 1)
            finally:
                await asyncio.to_thread(server.start)
            await at_rate(20, 0.5, act)
            up = [await call for call in calls]
            assert all(call.up for call in up)
            await place.told("store.back", 1)
            for call in up[::2]:
                assert await place.callers.within(call, "BYE")
            await until_kept(url, dialogs=len(up[1::2]), bindings=1)
            assert not (place.folder / "stderr").read_text()

    asyncio.run(scenario())


def test_a_database_that_is_frozen_keeps_no_one_waiting(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = url_of("mariadb", tmp_path, request)
    server: Server = request.getfixturevalue("mariadb_server")

    async def scenario() -> None:
        async with site(tmp_path, url) as place:
            assert await place.phones.register("1000")
            server.freeze()
            try:
                assert await place.phones.register("1001")
                (lost,) = await place.told("store.lost", 1)
                assert lost["why"] == "no answer for 0.5 s"
                assert (await place.callers.call()).up
            finally:
                server.thaw()
            await place.told("store.back", 1)
            await until_kept(url, dialogs=1, bindings=2)

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
@pytest.mark.parametrize("away", ["killed", "frozen"])
def test_a_minute_without_a_database_at_full_size_fails_no_call(
    away: str, server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """100 calls of 1 s begin each second, of which one stays, and 10 phones register."""
    url = url_of(server, tmp_path, request)
    running: Server = request.getfixturevalue(f"{server}_server")

    async def scenario() -> None:
        async with site(tmp_path, url) as place:
            calls: list[asyncio.Task[bool]] = []
            registrations: list[asyncio.Task[bool]] = []

            async def call(stays: bool) -> bool:
                made = await place.callers.call()
                if stays or not made.up:
                    return made.up
                await asyncio.sleep(1.0)
                return await place.callers.within(made, "BYE")

            def act() -> None:
                number = len(calls)
                calls.append(asyncio.ensure_future(call(number % 100 == 0)))
                if number % 10 == 0:
                    registrations.append(asyncio.ensure_future(place.phones.register(str(1000 + number))))

            await at_rate(100, 5, act)
            if away == "killed":
                running.kill()
            else:
                running.freeze()
            try:
                await at_rate(100, 60, act)
            finally:
                if away == "killed":
                    await asyncio.to_thread(running.start)
                else:
                    running.thaw()
            await at_rate(100, 5, act)
            assert not [number for number, each in enumerate(calls) if not await each]
            assert not [number for number, each in enumerate(registrations) if not await each]
            assert await place.told("store.lost", 1)
            await place.told("store.back", 1)
            await until_kept(url, dialogs=70, bindings=700)
            assert await place.channels() == 70
            assert not (place.folder / "stderr").read_text()

    asyncio.run(scenario())


@pytest.mark.parametrize("away", ["killed", "frozen"])
def test_an_edge_that_ends_while_the_database_is_away_says_what_is_not_written(
    away: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = url_of("mariadb", tmp_path, request)
    server: Server = request.getfixturevalue("mariadb_server")

    async def scenario() -> None:
        async with site(tmp_path, url) as place:
            if away == "killed":
                server.kill()
            else:
                server.freeze()
            try:
                assert await place.phones.register("1000")
                assert await place.phones.register("1001")
                assert place.process is not None
                place.process.terminate()
                async with asyncio.timeout(20):
                    assert await place.process.wait() == 0
                (note,) = await place.told("records.unwritten", 1)
                assert note["count"] == 2
                assert not (place.folder / "stderr").read_text()
            finally:
                if away == "killed":
                    await asyncio.to_thread(server.start)
                else:
                    server.thaw()

    asyncio.run(scenario())


async def until_kept(url: str, **expected: int) -> None:
    """Until the tables hold so many rows."""
    database = Database(url)
    try:
        async with asyncio.timeout(10):
            while True:
                records = await asyncio.to_thread(database.load, "edge1", 0.0)
                found = Counter(record.at.kind for record in records)
                if found == expected:
                    return
                await asyncio.sleep(0.05)
    finally:
        database.close()


def url_of(server: str | None, folder: Path, request: pytest.FixtureRequest) -> str:
    """An empty database."""
    if server is None:
        return f"sqlite:///{folder}/main.db"
    running: Server = request.getfixturevalue(f"{server}_server")
    url = running.database(f"kill{next(_SITES)}")
    database = Database(url)
    schema.create(database)
    database.close()
    return url
