"""How a store ends: what waits is written, or the log says that it is not; soon, and after few attempts."""

from __future__ import annotations

import asyncio

from engine.boundary import DialogRecord, Input, Note, Save
from engine.config import StoreConfig
from engine.live.store import Database, Store
from engine.live.store.database import AwayError
from engine.notes import RecordsUnwritten, StoreLost
from engine.records.queue import Batch

CONFIG = StoreConfig(database="main", delay_s=1000.0)


class Away(Database):
    """Refuses the first batches."""

    def __init__(self, refusals: float) -> None:
        super().__init__("sqlite:////nowhere.db")
        self.asked = 0
        self.written = 0
        self._refusals = refusals

    def apply(self, batch: Batch) -> None:
        self.asked += 1
        if self.asked <= self._refusals:
            raise AwayError("connection refused")
        self.written += len(batch.saves)

    def load(self, edge: str, now: float) -> list[object]:  # type: ignore[override]  # there is nothing
        return []


def ended(database: Away, *, writes_within_s: float, records: int = 3) -> list[Note]:
    """What a store that ends with so many records unwritten has told."""
    told: list[Note] = []
    heard: list[Input] = []

    async def scenario() -> None:
        store = Store(database, CONFIG, "edge1", last_write_s=writes_within_s)
        store.attach(heard.append, lambda note, _now: told.append(note))
        for number in range(records):
            store.put(Save(DialogRecord("edge1", b"%d" % number, b"t", "FS1", "pstn", 1.0), True), 0.0)
        async with asyncio.timeout(10):
            await store.stop()

    asyncio.run(scenario())
    return told


def test_what_waits_is_written() -> None:
    database = Away(0)
    assert ended(database, writes_within_s=5.0) == []
    assert (database.asked, database.written) == (1, 3)


def test_a_database_that_is_back_in_time_gets_it() -> None:
    database = Away(1)
    told = ended(database, writes_within_s=5.0)
    assert database.written == 3
    assert not [note for note in told if isinstance(note, RecordsUnwritten)]


def test_of_one_that_stays_away_it_is_told_what_was_not_written_after_few_attempts() -> None:
    database = Away(float("inf"))
    told = ended(database, writes_within_s=0.6)
    assert 1 <= database.asked <= 3
    assert told == [StoreLost("main", "connection refused", 3), RecordsUnwritten("main", 3)]
