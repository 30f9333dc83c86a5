"""A database with latency and outages, and the stores of the edges that keep their records in it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Literal, Protocol, TypeAlias

from engine.boundary import (
    NEVER,
    BindingRecord,
    Commit,
    Committed,
    Drop,
    Input,
    Loaded,
    Note,
    Record,
    RecordKey,
    RecordKind,
    Save,
)
from engine.config import StoreConfig
from engine.notes import StoreBack, StoreLost
from engine.records.queue import Batch, WriteQueue

CONNECT_S: Final = 0.001
"""A database whose process is gone refuses a connection so soon."""
ANSWER_S: Final = 5.0
"""One that is frozen is given up so late, as ``engine.live.store`` does."""
_RETRY_FIRST_S: Final = 0.5

_Failed: TypeAlias = Callable[[str], None]


class Clock(Protocol):
    """Virtual time."""

    @property
    def now(self) -> float: ...

    def later(self, delay_s: float, function: Callable[..., None], *arguments: object) -> None: ...


class Database:
    """Rows that outlive every process. A transaction is done at one instant, or not at all.

    ``state`` is running, killed (it refuses connections; what was committed stays) or frozen (it never answers).
    """

    def __init__(self, clock: Clock, rng: Random, latency_s: float, jitter_s: float) -> None:
        self.state: Literal["running", "killed", "frozen"] = "running"
        self.slow_s = 0.0
        self.rows: dict[tuple[RecordKind, str, bytes], Record] = {}
        self._clock = clock
        self._rng = rng
        self._latency_s = latency_s
        self._jitter_s = jitter_s

    def write(self, batch: Batch, done: Callable[[], None], failed: _Failed) -> None:
        """Write a batch in one transaction, and say what became of it."""

        def commit() -> None:
            for record in batch.saves:
                self.rows[_row(record.at)] = record
            for key in batch.drops:
                row = self.rows.get(_row(key))
                if row is not None and row.edge == key.edge:
                    del self.rows[_row(key)]
            done()

        self._transact(commit, failed)

    def read(self, edge: str, done: Callable[[list[Record]], None], failed: _Failed) -> None:
        """Read all bindings, and what else is an edge's own."""

        def give() -> None:
            now = self._clock.now
            for at, row in list(self.rows.items()):
                if isinstance(row, BindingRecord) and row.expires_at < now:
                    del self.rows[at]
            done([row for row in self.rows.values() if isinstance(row, BindingRecord) or row.edge == edge])

        self._transact(give, failed)

    def _transact(self, work: Callable[[], None], failed: _Failed) -> None:
        if self.state == "killed":
            self._clock.later(CONNECT_S, failed, "connection refused")
        elif self.state == "frozen":
            self._clock.later(ANSWER_S, failed, "timed out")
        else:
            takes_s = self._latency_s + self._rng.random() * self._jitter_s + self.slow_s
            self._clock.later(min(takes_s, ANSWER_S), self._end, work, failed, takes_s > ANSWER_S)

    def _end(self, work: Callable[[], None], failed: _Failed, timed_out: bool) -> None:
        if self.state == "killed":
            failed("connection reset")
        elif self.state == "frozen" or timed_out:
            failed("timed out")
        else:
            work()


class SimStore:
    """Keeps one life of a machine's records, as ``engine.live.store.Store`` does."""

    def __init__(
        self,
        database: Database,
        config: StoreConfig,
        edge: str,
        clock: Clock,
        deliver: Callable[[Input], None],
        tell: Callable[[Note], None],
    ) -> None:
        self._database = database
        self._name = config.database or ""
        self._config = config
        self._edge = edge
        self._clock = clock
        self._deliver = deliver
        self._tell = tell
        self._queue = WriteQueue(config)
        self._looks_at = NEVER
        self._away_since: float | None = None  # nothing could be read yet
        self._retry_s = _RETRY_FIRST_S
        self._ended = False

    def open(self) -> None:
        """Read what was kept; a database that is away is asked until it answers."""
        self._database.read(self._edge, self._give, self._unread)

    def end(self) -> None:
        """The process is killed: what waits is lost, and nothing comes back to it."""
        self._ended = True

    def put(self, order: Save | Drop | Commit) -> None:
        """Carry out an order of the machine."""
        self._queue.put(order, self._clock.now)
        self._go_on()

    def _give(self, records: list[Record]) -> None:
        if self._ended:
            return
        if self._away_since is not None:
            self._tell(StoreBack(self._name, self._clock.now - self._away_since))
        self._deliver(Loaded(records))

    def _unread(self, why: str) -> None:
        if self._ended:
            return
        if self._away_since is None:
            self._away_since = self._clock.now
            self._tell(StoreLost(self._name, why, 0))
        self._clock.later(self._retry_s, self.open)
        self._retry_s = min(2 * self._retry_s, self._config.retry_max_s)

    def _go_on(self) -> None:
        """Look again when the queue wants it; what it says now comes after the machine's other effects."""
        now = self._clock.now
        due = now if self._queue.out else max(self._queue.deadline(), now)
        if due < self._looks_at:
            self._looks_at = due
            self._clock.later(due - now, self._work, due)

    def _work(self, due: float) -> None:
        if self._ended or due != self._looks_at:
            return
        self._looks_at = NEVER
        now = self._clock.now
        self._queue.tick(now)
        batch = self._queue.take(now)
        if batch:
            self._database.write(batch, self._written, self._unwritten)
        self._pass_on()

    def _written(self) -> None:
        if not self._ended:
            self._queue.done(self._clock.now)
            self._pass_on()

    def _unwritten(self, why: str) -> None:
        if not self._ended:
            self._queue.failed(why, self._clock.now)
            self._pass_on()

    def _pass_on(self) -> None:
        out, self._queue.out = self._queue.out, []
        for each in out:
            if isinstance(each, Committed):
                self._deliver(each)
            else:
                self._tell(each)
        self._go_on()


def _row(key: RecordKey) -> tuple[RecordKind, str, bytes]:
    """Where a record stands: a binding has one row, whichever edge wrote it last."""
    return key.kind, "" if key.kind == "bindings" else key.edge, key.name
