"""`siptwin nodes`, `calls`, `registrations` and `status` against a running edge."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from live_machines import in_loop, udp_peer, until
from typer.testing import CliRunner

from engine.live import LiveError
from engine.live.api import ApiClient
from lab.cli.app import app
from tests.live.capture import read
from tests.live.deployed import TOKEN, Deployed, deployed


class Shell:
    """Runs commands beside the edge's loop."""

    def __init__(self, place: Deployed, control: Path) -> None:
        self.place = place
        self._control = control

    async def run(self, *words: str, code: int = 0, **environment: str) -> str:
        """What a command prints."""
        where = [] if "--api" in words else ["--control", str(self._control)]
        result = await asyncio.to_thread(
            CliRunner().invoke, app, [*words, *where], env={"COLUMNS": "200", "SIPTWIN_TOKEN": "", **environment}
        )
        assert result.exit_code == code, result.output
        return result.output

    async def read(self, *words: str, **more: Any) -> Any:
        return json.loads(await self.run(*words, "--json", **more))


def test_nodes_are_listed_and_drained(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            shell = Shell(place, tmp_path / "s" / "c.sock")
            assert "pstn 0/1000" in await shell.run("nodes", "list")
            assert [node["state"] for node in await shell.read("nodes", "drain", "FS1")] == ["draining"]
            assert "draining" in await shell.run("nodes", "list")
            refused = await shell.run("nodes", "add", "FS3", "127.0.0.9", code=2)
            assert "these settings come from no file" in refused

    in_loop(scenario)


def test_a_call_is_listed_shown_traced_and_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            shell = Shell(place, tmp_path / "s" / "c.sock")
            file = tmp_path / "alice.pcap"
            # A process of its own, for commands in this one share their standard output.
            tracing = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lab.cli", "calls", "trace", "--user", "alice", "--seconds", "60"),
                *("-o", str(file), "--control", str(tmp_path / "s" / "c.sock")),
                stdout=asyncio.subprocess.PIPE,
            )
            await until(lambda: not place.world.host.tap.idle)
            with udp_peer() as caller:
                await place.call(caller, "one")
                assert "sip:alice@127.0.0.1" in await shell.run("calls", "list")
                await until(lambda: next(place.edge.calls(0.0)).uuid)
                assert (await shell.read("calls", "show", "one"))["node"] == "FS1"
                await shell.run("calls", "end", "one")
            assert "no call 'two' stands" in await shell.run("calls", "show", "two", code=2)
            tracing.send_signal(signal.SIGINT)
            said, _ = await tracing.communicate()
            assert b"bytes" in said
            assert any(each.data.startswith(b"INVITE") for each in read.pcap(file.read_bytes()))

    in_loop(scenario)


def test_a_trace_that_is_refused_or_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            shell = Shell(place, tmp_path / "s" / "c.sock")
            earlier = tmp_path / "earlier.pcap"
            earlier.write_bytes(b"kept")
            assert "name a call_id or a user" in await shell.run("calls", "trace", "-o", str(earlier), code=2)
            assert earlier.read_bytes() == b"kept"
            words = ["calls", "trace", "--user", "alice", "-o", str(tmp_path / "none" / "x.pcap")]
            told = await shell.run(*words, code=2)
            assert "name another file with -o" in told
            assert told.count("\n") == 1

    in_loop(scenario)


@pytest.mark.parametrize(
    ("url", "token", "says"),
    [
        ("http://[::1", "t", "write http://HOST:PORT"),
        ("http://127.0.0.1:many", "t", "write http://HOST:PORT"),
        ("http://a..b", "t", "write http://HOST:PORT"),
        ("127.0.0.1:8080", "t", "write http://HOST:PORT"),
        ("http://127.0.0.1:1", "t\u20acken", "printable ASCII"),
        ("http://127.0.0.1:1", "two\nlines", "printable ASCII"),
    ],
)
def test_an_address_or_a_token_that_cannot_be_is_one_line(url: str, token: str, says: str) -> None:
    result = CliRunner().invoke(app, ["status", "--api", url], env={"COLUMNS": "200", "SIPTWIN_TOKEN": token})
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert result.output.count("\n") == 1


def test_an_answer_that_breaks_off_is_one_line() -> None:
    half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(half)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        client = ApiClient(url=f"http://127.0.0.1:{listener.getsockname()[1]}", token="t")
        with pytest.raises(LiveError, match="broke off"):
            list(client.stream("v1", "captures"))
        thread.join()


def test_a_user_is_listed_shown_and_kicked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, phone=True) as place:
            shell = Shell(place, tmp_path / "s" / "c.sock")
            user = "1000@127.0.0.1"
            assert user in await shell.run("registrations", "list")
            assert [each["aor"] for each in await shell.read("registrations", "show", user)] == [user]
            await shell.run("registrations", "kick", user)
            assert f"'{user}' is not registered here" in await shell.run("registrations", "show", user, code=2)

    in_loop(scenario)


@pytest.mark.parametrize("way", ["file", "environment"])
def test_over_tcp_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, way: str) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            shell = Shell(place, tmp_path)
            words = ["status", "--api", place.url]
            assert "asks for a token" in await shell.run(*words, code=2)
            if way == "file":
                (tmp_path / "token").write_text(f"{TOKEN}\n")
                told = await shell.run(*words, "--token-file", str(tmp_path / "token"))
            else:
                told = await shell.run(*words, SIPTWIN_TOKEN=TOKEN)
            assert "takes new calls" in told
            await place.post("v1", "nodes", "FS1", "disable")
            assert "no node takes calls" in await shell.run(*words, SIPTWIN_TOKEN=TOKEN, code=1)

    in_loop(scenario)
