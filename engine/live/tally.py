"""Notes as numbers and as calls: what metrics count, and who calls whom in the calls that stand."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.boundary import Note
from engine.notes import (
    AttemptEnded,
    CallAnswered,
    CallFailed,
    CallMoved,
    CallMoving,
    CallNotRescued,
    CallRestored,
    DialogEnded,
    MediaEnded,
    RescuedCallEnded,
)

SETUP_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STANDING_MAX = 200_000
_OVER_MAX = 1_000
_AGAIN = (401, 407)  # the caller comes again, with its password
_LAST_WORD_S = 3.0  # longer than a relay waits for its data plane
TAKEN_OVER = "taken over"  # DialogEnded.why of a call that is rescued


class Counters:
    """Counts since the start. A Note costs two dictionary look-ups here, nothing else on the way of a call."""

    def __init__(self) -> None:
        self.notes: dict[type[Note], int] = {}
        self.answered: dict[str, int] = {}  # by node
        self.failed: dict[int, int] = {}  # by status
        self.attempts_failed: dict[tuple[str, int], int] = {}  # by node and status
        self.setup_buckets = [0] * (len(SETUP_BOUNDS_S) + 1)
        self.setup_sum_s = 0.0

    def __call__(self, note: Note, _now: float) -> None:
        kind = type(note)
        self.notes[kind] = self.notes.get(kind, 0) + 1
        if isinstance(note, CallAnswered):
            if note.method == "INVITE":
                self.answered[note.node] = self.answered.get(note.node, 0) + 1
                self.setup_buckets[bisect_left(SETUP_BOUNDS_S, note.setup_s)] += 1
                self.setup_sum_s += note.setup_s
        elif isinstance(note, CallFailed):
            if note.method == "INVITE":
                self.failed[note.status] = self.failed.get(note.status, 0) + 1
        elif isinstance(note, AttemptEnded):
            key = (note.node, note.status)
            self.attempts_failed[key] = self.attempts_failed.get(key, 0) + 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A call that was answered; times are seconds since 1970."""

    caller: str
    callee: str
    node: str
    began_at: float
    answered_at: float
    attempts: int
    moved: str = ""  # to which nodes, since its own has died


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call that is over. ``answered_at`` is None where nobody answered; ``end`` says how it ended.

    ``end`` is refused for a call without an answer, else what ended the dialog: bye, lost, gone, by order,
    lifetime, node lost; and of a call that outlived its node, how it ended without it: rescued, then ...; moved
    to FS2, then ....
    """

    call_id: str
    caller: str
    callee: str
    node: str
    began_at: float
    answered_at: float | None
    ended_at: float
    duration_s: float
    status: int
    reason: str
    end: str
    attempts: int
    # What came from each side, as the relay heard it: how well the other could hear it (G.107), and what share was
    # lost. None where media are not relayed here, or nothing came.
    caller_mos: float | None = None
    caller_loss: float | None = None
    callee_mos: float | None = None
    callee_loss: float | None = None


class _Ended:
    """A call that is over, and waits for the relay's word on it until ``due``."""

    __slots__ = ("due", "record", "sides")

    def __init__(self, record: CallRecord) -> None:
        self.record = record
        self.due = record.ended_at + _LAST_WORD_S
        self.sides = 0

    def heard(self, note: MediaEnded) -> bool:
        """The figures of one side; whether they are the second ones."""
        mos = note.mos if note.packets else None
        loss = None if mos is None else max(note.lost, 0) / (note.packets + max(note.lost, 0))
        if note.side == "caller":
            self.record = replace(self.record, caller_mos=mos, caller_loss=loss)
        else:
            self.record = replace(self.record, callee_mos=mos, callee_loss=loss)
        self.sides += 1
        return self.sides == 2


class CallBook:
    """Who calls whom, from answer to end; each call that is over is handed to ``sinks`` as a record.

    Where media are relayed here (``relays``) the record waits for the relay's last word, which comes soon after.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, relays: bool = False) -> None:
        self.standing: dict[str, Entry] = {}
        self._over: dict[str, None] = {}  # the latest that are recorded: forks of one INVITE end one by one
        self._moving: dict[str, None] = {}  # Call-IDs of the edge's own calls: they are part of another record
        self.sinks: list[Callable[[CallRecord], None]] = []
        self._clock = clock
        self._relays = relays
        self._ended: dict[str, _Ended] = {}  # in the order of their ends

    def __call__(self, note: Note, _now: float) -> None:
        if self._ended:
            self._write_overdue()
        if isinstance(note, CallMoving):
            if len(self._moving) >= STANDING_MAX:
                del self._moving[next(iter(self._moving))]
            self._moving[note.other_call_id] = None
            self.standing.pop(note.other_call_id, None)  # it was restored as a call of its own
        elif isinstance(note, CallRestored):
            began_at = self._clock() - note.age_s
            self._stand(note.call_id, Entry(note.caller, note.callee, note.node, began_at, began_at, 1))
        elif isinstance(note, CallMoved):
            entry = self.standing.get(note.call_id)
            if entry is not None:
                moved = f"{entry.moved}, {note.to}" if entry.moved else note.to
                self.standing[note.call_id] = replace(entry, moved=moved)
        elif isinstance(note, (CallAnswered, CallFailed, DialogEnded)) and note.call_id in self._moving:
            if not isinstance(note, CallAnswered):
                del self._moving[note.call_id]
        elif isinstance(note, CallAnswered):
            if note.method == "INVITE" and note.node:
                at = self._clock()
                entry = Entry(note.caller, note.callee, note.node, at - note.setup_s, at, note.attempts)
                self._stand(note.call_id, entry)
        elif isinstance(note, DialogEnded):
            if note.why == TAKEN_OVER:
                pass  # it goes on without its node
            elif note.call_id in self.standing:
                self._end(note.call_id, note.why)
            elif self.sinks and note.call_id not in self._over:
                self._write(_of_an_earlier_life(note, self._clock()))
        elif isinstance(note, CallNotRescued):
            self._end(note.call_id, "node lost")
        elif isinstance(note, RescuedCallEnded):
            for call_id in (note.call_id, note.other_call_id):
                self._end(call_id, f"rescued, then {note.why}")
        elif isinstance(note, MediaEnded):
            ended = self._ended.get(note.call_id)
            if ended is not None and ended.heard(note):
                del self._ended[note.call_id]
                self._write(ended.record)
        elif isinstance(note, CallFailed) and self.sinks and note.method == "INVITE" and note.status not in _AGAIN:
            self._write(_failed(note, self._clock()))

    def _stand(self, call_id: str, entry: Entry) -> None:
        if len(self.standing) >= STANDING_MAX:
            del self.standing[next(iter(self.standing))]
        self.standing[call_id] = entry

    def _end(self, call_id: str, why: str) -> None:
        entry = self.standing.pop(call_id, None)
        if entry is None or not self.sinks:
            return
        if entry.moved:
            why = f"moved to {entry.moved}, then {why.removeprefix('rescued, then ')}"
        record = _ended(call_id, why, entry, self._clock())
        if self._relays:
            self._note_over(call_id)
            self._ended[call_id] = _Ended(record)
        else:
            self._write(record)

    def _write_overdue(self) -> None:
        now = self._clock()
        while self._ended:
            call_id, oldest = next(iter(self._ended.items()))
            if oldest.due > now:
                return
            del self._ended[call_id]
            self._write(oldest.record)

    def close(self) -> None:
        """Nothing more will be heard of any call."""
        for ended in self._ended.values():
            self._write(ended.record)
        self._ended.clear()

    def _note_over(self, call_id: str) -> None:
        if call_id not in self._over and len(self._over) >= _OVER_MAX:
            del self._over[next(iter(self._over))]
        self._over[call_id] = None

    def _write(self, record: CallRecord) -> None:
        self._note_over(record.call_id)
        for sink in self.sinks:
            sink(record)


def _ended(call_id: str, why: str, entry: Entry, at: float) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        caller=entry.caller,
        callee=entry.callee,
        node=entry.node,
        began_at=entry.began_at,
        answered_at=entry.answered_at,
        ended_at=at,
        duration_s=at - entry.answered_at,
        status=200,
        reason="OK",
        end=why,
        attempts=entry.attempts,
    )


def _of_an_earlier_life(note: DialogEnded, at: float) -> CallRecord:
    """A call that was answered before this process began: who called whom is not known any more."""
    answered_at = at - note.duration_s
    return _ended(note.call_id, note.why, Entry("", "", note.node, answered_at, answered_at, 1), at)


def _failed(note: CallFailed, at: float) -> CallRecord:
    return CallRecord(
        call_id=note.call_id,
        caller=note.caller,
        callee=note.callee,
        node=note.node,
        began_at=at - note.elapsed_s,
        answered_at=None,
        ended_at=at,
        duration_s=0.0,
        status=note.status,
        reason=note.reason,
        end="refused",
        attempts=note.attempts,
    )
