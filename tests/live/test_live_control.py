"""The control socket: orders to nodes, questions, and junk."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from live_machines import Echo, World, in_loop, started

from engine.boundary import Effect, Input, NodeOrder
from engine.live import LiveError
from engine.live.control import REQUEST_BYTES_MAX, ControlClient, ControlServer, default_path, find_path


@dataclass(frozen=True)
class Snapshot:
    name: str
    state: str
    in_use: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"pstn": 1}))


def row(name: str, state: str) -> dict[str, Any]:
    return {"name": name, "state": state, "in_use": {"pstn": 1}}


class Pool(Echo):
    def __init__(self) -> None:
        super().__init__()
        self.states = {"fs1": "active", "fs2": "active"}

    def answer(self, event: Input, now: float) -> Sequence[Effect]:
        if isinstance(event, NodeOrder):
            self.states[event.node] = event.order
        return super().answer(event, now)

    def nodes_snapshot(self, now: float) -> list[Snapshot]:
        return [Snapshot(*each) for each in self.states.items()]


async def controlled(path: Path, machine: Echo | None = None) -> tuple[World, ControlServer]:
    world = await started(machine or Pool())
    server = ControlServer(world.host, path)
    await server.start()
    return world, server


def test_nodes_are_listed_and_ordered_about(tmp_path: Path, fast: bool) -> None:
    async def scenario() -> None:
        world, server = await controlled(tmp_path / "s" / "c.sock")
        client = ControlClient(tmp_path / "s" / "c.sock")
        assert await asyncio.to_thread(client.order, "fs2", "drain") == row("fs2", "drain")
        assert await asyncio.to_thread(client.nodes) == [row("fs1", "active"), row("fs2", "drain")]
        assert world.machine.of(NodeOrder) == [NodeOrder("fs2", "drain")]
        (stats,) = await asyncio.to_thread(client.stats)
        assert stats["interface"] == "a"
        await server.stop()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_only_its_owner_may_use_it_and_it_is_removed_at_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "s" / "c.sock"
        world, server = await controlled(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        await server.stop()
        assert not path.exists()
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize(
    ("node", "order", "error"),
    [
        ("fs9", "drain", "unknown node 'fs9' - there are fs1, fs2"),
        ("fs1", "explode", "unknown order 'explode' - use one of drain, resume, disable, enable"),
    ],
)
def test_a_wrong_order_says_what_is_right(tmp_path: Path, node: str, order: str, error: str) -> None:
    async def scenario() -> None:
        world, server = await controlled(tmp_path / "c.sock")
        with pytest.raises(LiveError) as caught:
            await asyncio.to_thread(ControlClient(tmp_path / "c.sock").order, node, order)
        assert str(caught.value) == error
        assert not world.machine.inputs
        await server.stop()
        await world.host.stop()

    in_loop(scenario)


def test_a_machine_without_nodes_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        world, server = await controlled(tmp_path / "c.sock", Echo())
        with pytest.raises(LiveError, match="no nodes"):
            await asyncio.to_thread(ControlClient(tmp_path / "c.sock").nodes)
        await server.stop()
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize(
    "junk",
    [
        b"\n",
        b"\xff\x00\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"op": ["nodes"]}\n',
        b'{"op": "order"}\n',
        b'{"op": "order", "node": {}, "order": []}\n',
        b"[" * 50_000 + b"\n",
        b"x" * (2 * REQUEST_BYTES_MAX) + b"\n",
    ],
    ids=lambda junk: repr(junk[:20]),
)
def test_junk_is_answered_with_an_error_and_the_next_client_is_served(tmp_path: Path, junk: bytes) -> None:
    async def scenario() -> None:
        path = tmp_path / "c.sock"
        world, server = await controlled(path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(junk)
        reply = json.loads(await reader.readline())
        assert reply["ok"] is False
        assert reply["error"]
        writer.close()
        assert len(await asyncio.to_thread(ControlClient(path).nodes)) == 2
        await server.stop()
        await world.host.stop()

    in_loop(scenario)


def test_clients_are_bounded(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "c.sock"
        world, server = await controlled(path)
        clients = [await asyncio.open_unix_connection(path) for _ in range(17)]
        reply = json.loads(await clients[-1][0].readline())
        assert "try again later" in reply["error"]
        for _, writer in clients:
            writer.close()
        await server.stop()
        await world.host.stop()

    in_loop(scenario)


def test_a_socket_left_behind_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "c.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
        world, server = await controlled(path)
        with pytest.raises(LiveError, match=r"^cannot open the control socket .+: address already in use - "):
            await ControlServer(world.host, path).start()
        assert len(await asyncio.to_thread(ControlClient(path).nodes)) == 2
        await server.stop()
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize("name", ["file", "x" * 120])
def test_a_path_that_cannot_be_a_socket_is_one_clear_line(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        (tmp_path / "file").write_text("precious")
        world = await started(Pool())
        with pytest.raises(LiveError, match=r"^cannot open the control socket"):
            await ControlServer(world.host, tmp_path / name).start()
        assert (tmp_path / "file").read_text() == "precious"
        await world.host.stop()

    in_loop(scenario)


def test_without_a_server_the_client_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LiveError, match=r"^cannot reach a running siptwin at .+: no such file .+ - start "):
        ControlClient(tmp_path / "c.sock").nodes()


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
