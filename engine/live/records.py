"""Call records on their way out: to a CSV file, to a database.

A thread for each writes, so that a slow disk or a database that is away costs records at worst, never calls.
"""

from __future__ import annotations

import csv
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import IO, Protocol

from sqlalchemy import Connection, insert

from engine.boundary import Note
from engine.live.errors import LiveError, reason_of
from engine.live.notes import CallRecordsLost
from engine.live.store import Database
from engine.live.store.tables import CALLS
from engine.live.tally import CallRecord

QUEUE_MAX = 100_000
_FLUSH_S = 0.5
_RETRY_S = 5.0
_BATCH = 500
_END_S = 5.0
COLUMNS = tuple(field.name for field in fields(CallRecord))


class Sink(Protocol):
    """One place where records go; ``write`` may block."""

    def write(self, records: Sequence[CallRecord]) -> None:
        """Keep these.

        Raises
        ------
        Exception
            None of them could be kept; they may come again.
        """
        ...

    def close(self) -> None: ...


class CsvSink:
    """Appends to a file, which logrotate may move away: it is opened for each batch.

    Raises
    ------
    LiveError
        The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._open():
                pass
        except OSError as error:
            raise LiveError(
                f"cannot write call records to {path}: {reason_of(error)} - choose another file"
            ) from None

    def write(self, records: Sequence[CallRecord]) -> None:
        with self._open() as file:
            rows = csv.writer(file)
            if not file.tell():
                rows.writerow(COLUMNS)
            rows.writerows(_cells(record) for record in records)

    def _open(self) -> IO[str]:
        return self._path.open("a", encoding="utf-8", errors="backslashreplace", newline="")

    def close(self) -> None:
        """Nothing is open between two batches."""


def _cells(record: CallRecord) -> list[object]:
    """Times as ISO 8601; texts that a spreadsheet would take for a formula are quoted, for they are strangers'."""
    cells: list[object] = []
    for name, value in zip(COLUMNS, astuple(record), strict=True):
        if name.endswith("_at"):
            value = "" if value is None else datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")
        elif isinstance(value, float):
            value = f"{value:.3f}"
        elif isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
            value = "'" + value
        cells.append(value)
    return cells


class SqlSink:
    """Rows of the table ``calls`` of a store's database."""

    def __init__(self, database: Database, edge: str) -> None:
        self._database = database
        self._edge = edge

    def write(self, records: Sequence[CallRecord]) -> None:
        rows = [self._row(record) for record in records]
        with self._database.engine.begin() as connection:
            _insert(connection, rows)

    def _row(self, record: CallRecord) -> dict[str, object]:
        row: dict[str, object] = dict(zip(COLUMNS, astuple(record), strict=True))
        for name in ("call_id", "caller", "callee", "reason"):
            row[name] = str(row[name]).encode("utf-8", "replace")[:65_535]
        return {"edge": self._edge, **row}

    def close(self) -> None:
        self._database.close()


def _insert(connection: Connection, rows: list[dict[str, object]]) -> None:
    connection.execute(insert(CALLS), rows)


class RecordWriter:
    """Takes records as they come and hands them to the sinks, each at its own pace."""

    def __init__(self, sinks: Sequence[Sink], tell: Callable[[Note, float], None]) -> None:
        self._workers = [_Worker(sink, tell) for sink in sinks]

    def __call__(self, record: CallRecord) -> None:
        for worker in self._workers:
            worker.put(record)

    def close(self) -> None:
        """Write what is left, if that can be done soon."""
        for worker in self._workers:
            worker.end()
        for worker in self._workers:
            worker.join()


class _Worker:
    def __init__(self, sink: Sink, tell: Callable[[Note, float], None]) -> None:
        self._sink = sink
        self._tell = tell
        self._waiting: deque[CallRecord] = deque()  # its append and popleft are safe between threads
        self._lost = 0
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="call-records", daemon=True)
        self._thread.start()

    def put(self, record: CallRecord) -> None:
        if len(self._waiting) >= QUEUE_MAX:
            self._lost += 1
            return
        self._waiting.append(record)
        self._due.set()

    def end(self) -> None:
        self._closing.set()
        self._due.set()

    def join(self) -> None:
        self._thread.join(timeout=_END_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._due.wait()
            self._closing.wait(_FLUSH_S)  # gather: a record at a time would cost a transaction each
            self._due.clear()
            self._write()
        self._write()
        self._sink.close()

    def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting[index] for index in range(min(len(self._waiting), _BATCH))]
            try:
                self._sink.write(batch)
            except Exception:  # a driver's own fault must not end the thread, and with it all later records
                if self._closing.is_set():
                    self._lost += len(self._waiting)
                    self._waiting.clear()
                    break
                self._closing.wait(_RETRY_S)
                continue
            for _ in batch:
                self._waiting.popleft()
        lost, self._lost = self._lost, 0
        if lost:
            self._tell(CallRecordsLost(lost), monotonic())
