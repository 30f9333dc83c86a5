"""What the rooms tell the store, and the answers that wait until the store has it.

Nothing is told for a message that goes by: a dialog is told when it begins and ends, a binding when its agent was
promised something, a node when its state means something to the next life.
"""

from __future__ import annotations

from engine.boundary import Commit, Drop, Effect, Record, RecordKey, RecordKind, Save
from engine.config import EdgeConfig
from engine.sip.message import Response
from engine.sip.transactions import ServerTransaction


class Records:
    """Orders records to be kept, if there is a store.

    ``kept`` tells whether there is one: who would have to make a record asks first. ``wall_offset_s`` is what the
    wall clock is ahead of ``now``.
    """

    __slots__ = ("_answers", "_config", "_out", "_ticket", "_unconfirmed", "edge", "kept", "wall_offset_s")

    def __init__(self, config: EdgeConfig, out: list[Effect], wall_offset_s: float) -> None:
        self.edge = config.name
        self.wall_offset_s = wall_offset_s
        self.kept = config.store.database is not None
        self._config = config.store
        self._out = out
        self._answers: dict[int, tuple[ServerTransaction, Response]] = {}
        self._ticket = 0
        self._unconfirmed: set[RecordKind] = set()  # kinds with changes that no answer has waited for yet

    # --- what is kept

    def save(self, record: Record, kind: RecordKind, new: bool = False) -> None:
        """Keep a record; ``new`` where the store cannot have one with its key."""
        self._unconfirmed.add(kind)
        self._out.append(Save(record, new))

    def drop(self, kind: RecordKind, name: bytes) -> None:
        """Forget a record, where there is a store."""
        if self.kept:
            self._unconfirmed.add(kind)
            self._out.append(Drop(RecordKey(kind, self.edge, name)))

    # --- answers that make a promise

    def respond(self, kind: RecordKind, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Send a response that promises what records of this kind say; once the store has them, where set so."""
        if kind not in self._unconfirmed or kind not in self._config.write_through:
            transaction.respond(response, now)
            return
        self._unconfirmed.clear()  # a Commit is about all that was ordered before
        self._ticket += 1
        self._answers[self._ticket] = transaction, response
        self._out.append(Commit(self._ticket))

    def committed(self, ticket: int, now: float) -> None:
        waiting = self._answers.pop(ticket, None)
        if waiting is not None:
            transaction, response = waiting
            transaction.respond(response, now)

    @property
    def waiting(self) -> int:
        """How many answers wait for the store."""
        return len(self._answers)
