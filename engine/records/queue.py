"""What waits for the store: the newest word about each key, written in batches, one at a time.

Both worlds drive this one machine: it says when a batch is due (``deadline``), hands it out, and is told what
became of it. It answers each Commit in time, whatever ails the store: no database stops a call.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.boundary import NEVER, Commit, Committed, Drop, Note, Record, RecordKey, Save
from engine.config import StoreConfig
from engine.notes import RecordsDropped, StoreBack, StoreLost

_RETRY_FIRST_S = 0.5


class Batch(NamedTuple):
    """What goes into the store in one transaction."""

    saves: list[Record]
    drops: list[RecordKey]

    def __bool__(self) -> bool:
        return bool(self.saves or self.drops)


class WriteQueue:
    """Records on their way into one database.

    After each call the host takes what is in ``out``: answers for the machine, Notes for the world.
    """

    def __init__(self, config: StoreConfig) -> None:
        self.out: list[Committed | Note] = []
        self._config = config
        self._database = config.database or ""
        self._waiting: dict[RecordKey, Save | None] = {}  # None: to be dropped
        self._tickets: list[int] = []  # to be answered when what waits now is in the store
        self._due = NEVER
        self._written: dict[RecordKey, Save | None] | None = None  # the batch under way
        self._written_tickets: list[int] = []
        self._late_at = NEVER  # when the batch under way is called late
        self._lost_at: float | None = None  # since when the store is away
        self._retry_s = _RETRY_FIRST_S
        self._dropped = 0

    # --- what is ordered

    def put(self, order: Save | Drop | Commit, now: float) -> None:
        """Take an order of the machine."""
        if type(order) is Save:
            key = order.record.at
            if key in self._waiting:
                before = self._waiting[key]
                if before is not None and before.new:
                    order = Save(order.record, True)
            elif self._is_full():
                return
            self._waiting[key] = order
        elif type(order) is Drop:
            key = order.key
            before = self._waiting.get(key)
            if before is not None and before.new:
                del self._waiting[key]  # the store has never heard of it
                return
            if before is None and key not in self._waiting and self._is_full():
                return
            self._waiting[key] = None
        elif type(order) is Commit:
            self._commit(order.ticket, now)
            return
        else:
            raise TypeError(order)
        if self._lost_at is None:
            wait_s = 0.0 if key.kind in self._config.write_through else self._config.delay_s
            self._due = min(self._due, now + wait_s)

    def _is_full(self) -> bool:
        if len(self._waiting) < self._config.queue_records:
            return False
        self._dropped += 1
        return True

    def _commit(self, ticket: int, now: float) -> None:
        if self._lost_at is not None or not (self._waiting or self._written):
            self.out.append(Committed(ticket))  # nobody waits for a store that is away
        elif self._waiting:
            self._tickets.append(ticket)
            self._due = min(self._due, now)
        else:
            self._written_tickets.append(ticket)

    # --- what is written

    def deadline(self) -> float:
        """When to call ``take`` (no batch is under way) or ``tick`` (one is)."""
        return self._due if self._written is None else self._late_at

    def take(self, now: float) -> Batch:
        """Hand out what waits; empty where nothing is due. The host reports by ``done`` or ``failed``."""
        if self._written is not None or self._due > now:
            return Batch([], [])
        self._written, self._waiting = self._waiting, {}
        self._written_tickets, self._tickets = self._tickets, []
        self._due = NEVER
        self._late_at = now + self._config.answer_wait_s if self._lost_at is None else NEVER
        saves = [save.record for save in self._written.values() if save is not None]
        drops = [key for key, save in self._written.items() if save is None]
        return Batch(saves, drops)

    def tick(self, now: float) -> None:
        """The batch under way takes too long: whoever waits for it goes on."""
        if self._written is not None and self._late_at <= now:
            self._lose(f"no answer for {self._config.answer_wait_s:g} s", now)

    def done(self, now: float) -> None:
        """The batch under way is in the store."""
        self._answer(self._written_tickets)
        self._written = None
        self._late_at = NEVER
        self._retry_s = _RETRY_FIRST_S
        if self._waiting:
            self._due = now
        if self._lost_at is not None:  # the batch was all that waited
            self.out.append(StoreBack(self._database, now - self._lost_at))
            self._lost_at = None
        if self._dropped:
            self.out.append(RecordsDropped(self._database, self._dropped))
            self._dropped = 0

    def failed(self, why: str, now: float) -> None:
        """The store did not take the batch, or nobody knows: it goes back to what waits, behind what is newer."""
        batch, self._written = self._written or {}, None
        self._late_at = NEVER
        for key, save in batch.items():
            # It may be in the store all the same, so it is not new there any more.
            self._waiting.setdefault(key, Save(save.record) if save is not None else None)
        self._lose(why, now)
        self._due = now + self._retry_s
        self._retry_s = min(2 * self._retry_s, self._config.retry_max_s)

    @property
    def lost(self) -> bool:
        """Whether the store is away, as far as is known."""
        return self._lost_at is not None

    def _lose(self, why: str, now: float) -> None:
        self._late_at = NEVER
        self._answer(self._written_tickets)
        self._answer(self._tickets)
        if self._lost_at is None:
            self._lost_at = now
            self.out.append(StoreLost(self._database, why, len(self)))

    def _answer(self, tickets: list[int]) -> None:
        self.out.extend(map(Committed, tickets))
        tickets.clear()

    def __len__(self) -> int:
        """How many records are not known to be in the store."""
        return len(self._waiting) + len(self._written or ())
