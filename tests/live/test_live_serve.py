"""Serving: signals, drain, reload, systemd."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from live_machines import HOST, Echo, closed_port, in_loop, interface, until

from engine.boundary import Drain, Interface, Note, Reconfigure
from engine.live import LiveError
from engine.live.api import ApiClient
from engine.live.notes import DrainStarted, ReloadFailed, ServeStarted, ServeStopped
from engine.live.serve import serve
from engine.live.source import Fixed


class Worker(Echo):
    """Busy until the test says otherwise."""

    idle = False


class Reloads(Fixed):
    """What the test lets the next reloads bring."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def reload(self) -> tuple[Reconfigure, list[Interface]]:
        reload = self._served.reloads.pop(0)
        if isinstance(reload, Exception):
            raise reload
        return reload, self._served.interfaces


class Served:
    """A ``serve`` in this very process and loop, which the test signals."""

    def __init__(self, **options: Any) -> None:
        self.machine = options.pop("machine", Worker())
        self.interfaces: list[Interface] = options.pop("interfaces", [interface(port=options.pop("port", 0))])
        self.notes: list[Note] = []
        self.reloads: list[Reconfigure | Exception] = []
        self.task = asyncio.create_task(
            serve(
                lambda: (self.machine, self.interfaces),
                Reloads(self),
                on_note=lambda note, now: self.notes.append(note),
                **options,
            )
        )

    async def ready(self) -> None:
        await until(lambda: self.told(ServeStarted))

    def told(self, kind: type[Any]) -> list[Any]:
        return [note for note in self.notes if isinstance(note, kind)]

    def signal(self, number: signal.Signals) -> None:
        os.kill(os.getpid(), number)

    async def ended(self) -> str:
        async with asyncio.timeout(5):
            await self.task
        (stopped,) = self.told(ServeStopped)
        return str(stopped.why)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_drains_until_idle(number: signal.Signals, fast: bool) -> None:
    async def scenario() -> None:
        served = Served()
        await served.ready()
        served.signal(number)
        await until(lambda: served.machine.of(Drain))
        assert served.told(DrainStarted)[0].signal == number.name
        assert not served.task.done()
        served.machine.idle = True
        assert await served.ended() == "idle"

    in_loop(scenario, fast=fast)


def test_the_grace_time_bounds_the_drain() -> None:
    async def scenario() -> None:
        served = Served(grace_s=0.1)
        await served.ready()
        served.signal(signal.SIGTERM)
        assert await served.ended() == "grace"

    in_loop(scenario)


def test_a_second_signal_ends_at_once() -> None:
    async def scenario() -> None:
        served = Served()
        await served.ready()
        served.signal(signal.SIGTERM)
        await until(lambda: served.machine.of(Drain))
        served.signal(signal.SIGTERM)
        assert await served.ended() == "signal"

    in_loop(scenario)


def test_a_machine_that_cannot_tell_is_not_waited_for() -> None:
    async def scenario() -> None:
        served = Served(machine=Echo())
        await served.ready()
        served.signal(signal.SIGTERM)
        assert await served.ended() == "idle"
        assert served.machine.of(Drain)

    in_loop(scenario)


def test_sighup_reloads_and_a_bad_file_changes_nothing(fast: bool) -> None:
    async def scenario() -> None:
        served = Served()
        await served.ready()
        served.reloads = [ValueError("seed.yaml:7: no such policy"), Reconfigure("new")]
        served.signal(signal.SIGHUP)
        await until(lambda: served.told(ReloadFailed))
        assert served.told(ReloadFailed)[0].why == "seed.yaml:7: no such policy"
        assert not served.machine.inputs
        served.signal(signal.SIGHUP)
        await until(lambda: served.machine.inputs == [Reconfigure("new")])
        served.machine.idle = True
        served.signal(signal.SIGTERM)
        assert await served.ended() == "idle"

    in_loop(scenario, fast=fast)


def test_the_control_socket_answers_while_it_serves(tmp_path: Path) -> None:
    async def scenario() -> None:
        served = Served(control_path=tmp_path / "c.sock")
        await served.ready()
        (stats,) = await asyncio.to_thread(ApiClient(tmp_path / "c.sock").get, "v1", "interfaces")
        assert stats["transport"] == "udp"
        served.machine.idle = True
        served.signal(signal.SIGTERM)
        await served.ended()
        assert not (tmp_path / "c.sock").exists()

    in_loop(scenario)


@contextmanager
def systemd(monkeypatch: pytest.MonkeyPatch, address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address.replace("@", "\0", 1))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield sock


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    async def scenario() -> None:
        served = Served()
        await served.ready()
        served.reloads = [ValueError("no")]
        served.signal(signal.SIGHUP)
        await until(lambda: served.told(ReloadFailed))
        served.machine.idle = True
        served.signal(signal.SIGTERM)
        await served.ended()

    address = f"@{tmp_path}" if abstract else str(tmp_path / "notify")
    with systemd(monkeypatch, address) as sock:
        in_loop(scenario)
        told = [sock.recv(4096).decode().splitlines() for _ in range(4)]
    assert [lines[0] for lines in told] == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert told[1][1].startswith("MONOTONIC_USEC=")


@pytest.mark.parametrize("other", ["", "another process"])
def test_systemd_s_watchdog_sees_that_the_loop_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.setenv("WATCHDOG_PID", "1" if other else str(os.getpid()))

    async def scenario() -> None:
        served = Served()
        await served.ready()
        sock.settimeout(0)
        told: list[str] = []

        def alive() -> bool:
            with suppress(BlockingIOError):
                while True:
                    told.append(sock.recv(4096).decode())
            return told.count("WATCHDOG=1") >= 3

        if not other:
            await until(alive)
        served.machine.idle = True
        served.signal(signal.SIGTERM)
        await served.ended()
        alive()
        assert any(each.startswith("STOPPING=1") for each in told)  # all that was said has come
        assert ("WATCHDOG=1" in told) != bool(other)

    with systemd(monkeypatch, str(tmp_path / "notify")) as sock:
        in_loop(scenario)


def test_a_port_in_use_is_raised_and_nothing_is_left_behind() -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((HOST, 0))
            served = Served(port=other.getsockname()[1])
            with pytest.raises(LiveError, match="address already in use"):
                await served.task
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    in_loop(scenario)


def test_a_control_path_in_use_stops_the_host_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = closed_port()
        (tmp_path / "c.sock").write_text("")
        served = Served(port=port, control_path=tmp_path / "c.sock")
        with pytest.raises(LiveError, match="control socket"):
            await served.task
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((HOST, port))

    in_loop(scenario)
