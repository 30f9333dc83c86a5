"""Keeps one machine's records: takes its orders in the event loop, and writes in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time

from engine.boundary import NEVER, Commit, Committed, Drop, Input, Loaded, Note, Record, Save
from engine.config import StoreConfig
from engine.live.errors import LiveError
from engine.live.store import schema
from engine.live.store.database import AwayError, Database
from engine.notes import RecordsUnwritten, StoreBack, StoreLost
from engine.records.queue import Batch, WriteQueue

_RETRY_FIRST_S = 0.5


class Store:
    """A database behind a `WriteQueue`: ``open``, then ``attach`` to the running machine, at the end ``stop``.

    Parameters
    ----------
    database
        Where records are kept.
    config
        How surely.
    edge
        Whose records.
    clock
        By which they are dated: the wall clock, where they are to outlive the machine.
    last_write_s
        How long what waits gets at the end of the process.
    """

    def __init__(
        self,
        database: Database,
        config: StoreConfig,
        edge: str,
        clock: Callable[[], float] = time,
        last_write_s: float = 5.0,
    ) -> None:
        self._database = database
        self._config = config
        self._edge = edge
        self._clock = clock
        self._last_write_s = last_write_s
        self._queue = WriteQueue(config)
        self._thread = ThreadPoolExecutor(1, "store")
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = NEVER
        self._deliver: Callable[[Input], None] | None = None
        self._tell: Callable[[Note, float], None] | None = None
        self._kept: list[Record] = []
        self._away = ""  # why nothing could be read
        self._writing: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def open(self) -> str:
        """Read what was kept, for `attach`. The result is the key of the flow tokens.

        It is "" where the database is away: then the machine starts without, and gets what was kept when it can
        be read.

        Raises
        ------
        LiveError
            The database has not the tables that this siptwin wants.
        """
        try:
            schema.check(self._database)
            secret = self._database.secret()
            self._kept = self._read()
        except AwayError as error:
            self._away = str(error)
            return ""
        return secret

    def _read(self) -> list[Record]:
        return self._database.load(self._edge, self._clock())

    def attach(self, deliver: Callable[[Input], None], tell: Callable[[Note, float], None]) -> None:
        """The machine runs: give it what was kept, and carry out its orders from now on."""
        self._deliver, self._tell = deliver, tell
        if self._away:
            tell(StoreLost(self.name, self._away, 0), monotonic())
            self._reading = asyncio.get_running_loop().create_task(self._read_late())
        else:
            deliver(Loaded(self._kept))
            self._kept = []
        self._go_on()

    def put(self, order: Save | Drop | Commit, now: float) -> None:
        """Carry out an order of the machine."""
        self._queue.put(order, now)
        if self._queue.out or self._queue.deadline() < self._armed_for:
            self._go_on()

    @property
    def name(self) -> str:
        """The database, as the topology calls it."""
        return self._config.database or ""

    @property
    def away(self) -> bool:
        """Whether the database does not answer, as far as is known."""
        return self._queue.lost or (self._reading is not None and not self._reading.done())

    @property
    def waiting(self) -> int:
        """How many records are not known to be in the database."""
        return len(self._queue)

    async def stop(self) -> None:
        """Write what waits, if that is soon done, and say what is not."""
        ends = monotonic() + self._last_write_s
        while len(self._queue) and (left_s := ends - monotonic()) > 0:
            self._work(hurry=True)
            if self._writing is not None:
                await asyncio.wait({self._writing}, timeout=left_s)
            if self._queue.lost:
                await asyncio.sleep(min(_RETRY_FIRST_S, max(ends - monotonic(), 0.0)))
        if len(self._queue) and self._tell is not None:
            self._tell(RecordsUnwritten(self.name, len(self._queue)), monotonic())
        self.kill()

    def kill(self) -> None:
        """End at once: what waits is lost, as by SIGKILL."""
        if self._timer:
            self._timer.cancel()
        for job in (self._writing, self._reading):
            if job is not None:
                job.cancel()
        self._deliver = None
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._database.close()

    # --- work

    def _go_on(self) -> None:
        """Work a little later: the machine may be in the midst of its effects, and more orders follow this one."""
        if self._deliver is None:
            return
        loop = asyncio.get_running_loop()
        due = self._queue.deadline()
        wait_s = 0.0 if self._queue.out else due - monotonic()
        if self._timer:
            self._timer.cancel()
        self._armed_for = due
        self._timer = loop.call_later(max(wait_s, 0.0), self._work) if wait_s < NEVER else None

    def _work(self, hurry: bool = False) -> None:
        now = monotonic()
        queue = self._queue
        self._armed_for = NEVER
        queue.tick(now)
        batch = queue.take(now if not hurry else NEVER)
        if batch:
            self._writing = asyncio.get_running_loop().create_task(self._write(batch))
        self._pass_on()
        self._go_on()

    def _pass_on(self) -> None:
        """Give the machine its answers and the world its Notes."""
        assert self._deliver is not None
        assert self._tell is not None
        out, self._queue.out = self._queue.out, []
        for each in out:
            if isinstance(each, Committed):
                self._deliver(each)
            else:
                self._tell(each, monotonic())

    async def _write(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._database.apply, batch)
        except LiveError as error:
            self._queue.failed(str(error), monotonic())
        except Exception as error:  # a driver's own fault is no reason to stop calls
            self._queue.failed(f"{self._database.name}: {type(error).__name__}: {error}", monotonic())
        else:
            self._queue.done(monotonic())
        self._pass_on()
        self._go_on()

    async def _read_late(self) -> None:
        """Read what was kept, as soon as the database is back."""
        loop = asyncio.get_running_loop()
        began = monotonic()
        wait_s = _RETRY_FIRST_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._config.retry_max_s)
            try:
                kept = await loop.run_in_executor(self._thread, self._read)
            except Exception:  # as in _write; it stays away, and is asked again
                continue
            assert self._deliver is not None
            assert self._tell is not None
            now = monotonic()
            self._tell(StoreBack(self.name, now - began), now)
            self._deliver(Loaded(kept))
            return
