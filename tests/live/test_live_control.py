"""The control socket: whose it is, where it is, and what becomes of one that was left behind."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest
from live_machines import Echo, World, in_loop, started

from engine.live import LiveError
from engine.live.api import ApiClient, ApiServer
from engine.live.api.service import Service
from engine.live.control import default_path, find_path
from engine.live.source import Fixed
from engine.live.tally import CallBook, Counters
from tests.live.deployed import NoChanges


async def controlled(path: Path) -> tuple[World, ApiServer]:
    world = await started(Echo())
    server = ApiServer(Service(world.host, NoChanges(), Fixed(), Counters(), CallBook()))
    await server.start(path)
    return world, server


async def ended(world: World, server: ApiServer) -> None:
    await server.stop()
    await world.host.stop()


def test_it_answers_until_the_end(tmp_path: Path, fast: bool) -> None:
    async def scenario() -> None:
        world, server = await controlled(tmp_path / "c.sock")
        client = ApiClient(tmp_path / "c.sock")
        (port,) = await asyncio.to_thread(client.get, "v1", "interfaces")
        assert (port["interface"], port["transport"]) == ("a", "udp")
        await ended(world, server)
        with pytest.raises(LiveError, match="cannot reach a running siptwin"):
            await asyncio.to_thread(client.get, "v1", "interfaces")

    in_loop(scenario, fast=fast)


def test_only_its_owner_may_use_it_and_it_is_removed_at_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "s" / "c.sock"
        world, server = await controlled(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        await ended(world, server)
        assert not path.exists()

    in_loop(scenario)


def test_a_machine_without_nodes_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        world, server = await controlled(tmp_path / "c.sock")
        with pytest.raises(LiveError, match="no nodes"):
            await asyncio.to_thread(ApiClient(tmp_path / "c.sock").get, "v1", "nodes")
        await ended(world, server)

    in_loop(scenario)


def test_a_socket_left_behind_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "c.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
        world, server = await controlled(path)
        second = ApiServer(server.service)
        with pytest.raises(LiveError, match=r"^cannot open the control socket .+: address already in use - "):
            await second.start(path)
        await second.stop()
        assert await asyncio.to_thread(ApiClient(path).get, "v1", "interfaces")
        await ended(world, server)

    in_loop(scenario)


@pytest.mark.parametrize("name", ["file", "x" * 120])
def test_a_path_that_cannot_be_a_socket_is_one_clear_line(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        (tmp_path / "file").write_text("precious")
        with pytest.raises(LiveError, match=r"^cannot open the control socket"):
            await controlled(tmp_path / name)
        assert (tmp_path / "file").read_text() == "precious"

    in_loop(scenario)


def test_without_a_server_the_client_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LiveError, match=r"^cannot reach a running siptwin at .+: no such file .+ - start "):
        ApiClient(tmp_path / "c.sock").get("v1", "nodes")


def test_the_default_path_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert default_path() == Path("/run/siptwin/control.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    mine = tmp_path / "siptwin" / "control.sock"
    assert default_path() == mine
    mine.parent.mkdir()
    mine.touch()
    assert find_path() == mine  # whether or not a service runs on this machine
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"/run/siptwin{os.pathsep}/run/other")
    assert default_path("edge1") == Path("/run/siptwin/edge1.sock")
