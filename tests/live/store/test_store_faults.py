"""A driver that trips over what a database says: that database is away, and nothing ends over it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from live_machines import in_loop, until

from engine.boundary import Input, Loaded, Note
from engine.config import StoreConfig
from engine.live.store import Database, Store
from engine.live.store.database import AwayError
from engine.notes import StoreBack, StoreLost

NONSENSE = {
    "a greeting that is cut off": ("mysql", b"\x06\0\0\0\x0a8.0\0\x01"),
    "a greeting of nothing": ("mysql", b"\0\0\0\0"),
    "a web server": ("mysql", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    "another database": ("postgresql", b"\x06\0\0\0\x0a8.0\0\x01"),
}


@contextmanager
def greets_with(data: bytes) -> Iterator[tuple[int, list[int]]]:
    """A server that says this and closes; its port, and the connections that it has had."""
    seen: list[int] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    seen.append(1)
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize(("driver", "data"), NONSENSE.values(), ids=NONSENSE)
def test_what_a_driver_trips_over_is_a_database_that_is_away(driver: str, data: bytes) -> None:
    with greets_with(data) as (port, _):
        database = Database(f"{driver}://u:secret@127.0.0.1:{port}/db")
        with pytest.raises(AwayError, match=r"127\.0\.0\.1") as raised:
            database.load("edge1", 0.0)
        database.close()
    assert "after the ?" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_so_is_one_whose_driver_trips_in_the_midst(monkeypatch: pytest.MonkeyPatch) -> None:
    def trips(*_: object) -> None:
        raise struct.error("unpack requires a buffer of 4 bytes")

    database = Database("sqlite:////tmp/none.db")
    monkeypatch.setattr(database.engine, "begin", trips)
    with pytest.raises(AwayError, match="error: unpack requires a buffer of 4 bytes"):
        database.load("edge1", 0.0)


class Tripping(Database):
    """Away at first; then its driver has faults of its own; then it is there."""

    def __init__(self, faults: int) -> None:
        super().__init__("sqlite:////tmp/none.db")
        self.faults: Iterator[Callable[[], Exception]] = iter([lambda: struct.error("short")] * faults)

    def secret(self) -> str:
        raise AwayError("connection refused")

    def load(self, edge: str, now: float) -> list[object]:  # type: ignore[override]  # there is nothing
        fault = next(self.faults, None)
        if fault is not None:
            raise fault()
        return []


def test_a_store_that_was_away_at_the_start_is_read_however_its_driver_fails_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.live.store.store._RETRY_FIRST_S", 0.01)
    monkeypatch.setattr("engine.live.store.store.schema.check", lambda _: None)

    async def scenario() -> None:
        told: list[Note] = []
        heard: list[Input] = []
        store = Store(Tripping(3), StoreConfig(database="main"), "edge1")
        assert store.open() == ""
        store.attach(heard.append, lambda note, _now: told.append(note))
        assert store.away
        await until(lambda: not store.away)
        assert heard == [Loaded([])]
        assert [type(note) for note in told] == [StoreLost, StoreBack]
        store.kill()

    in_loop(scenario)
