"""Notes as numbers and as calls: what metrics count, and who calls whom in the calls that stand."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from engine.boundary import Note
from engine.notes import AttemptEnded, CallAnswered, CallFailed, DialogEnded, RescuedCallEnded

SETUP_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STANDING_MAX = 200_000
_OVER_MAX = 1_000
_AGAIN = (401, 407)  # the caller comes again, with its password
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


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call that is over. ``answered_at`` is None where nobody answered; ``end`` says how it ended.

    ``end`` is refused for a call without an answer, else what ended the dialog: bye, lost, gone, lifetime; and of
    a call that outlived its node, how it ended without it.
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


class CallBook:
    """Who calls whom, from answer to end; each call that is over is handed to ``sinks`` as a record."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.standing: dict[str, Entry] = {}
        self._over: dict[str, None] = {}  # the latest that are recorded: forks of one INVITE end one by one
        self.sinks: list[Callable[[CallRecord], None]] = []
        self._clock = clock

    def __call__(self, note: Note, _now: float) -> None:
        if isinstance(note, CallAnswered):
            if note.method == "INVITE" and note.node:
                if len(self.standing) >= STANDING_MAX:
                    del self.standing[next(iter(self.standing))]
                at = self._clock()
                self.standing[note.call_id] = Entry(
                    note.caller, note.callee, note.node, at - note.setup_s, at, note.attempts
                )
        elif isinstance(note, DialogEnded):
            if note.why == TAKEN_OVER:
                pass  # it goes on without its node
            elif note.call_id in self.standing:
                self._end(note.call_id, note.why)
            elif self.sinks and note.call_id not in self._over:
                self._write(_of_an_earlier_life(note, self._clock()))
        elif isinstance(note, RescuedCallEnded):
            self._end(note.call_id, f"rescued, then {note.why}")
            self._end(note.other_call_id, f"rescued, then {note.why}")
        elif isinstance(note, CallFailed) and self.sinks and note.method == "INVITE" and note.status not in _AGAIN:
            self._write(_failed(note, self._clock()))

    def _end(self, call_id: str, why: str) -> None:
        entry = self.standing.pop(call_id, None)
        if entry is not None and self.sinks:
            self._write(_ended(call_id, why, entry, self._clock()))

    def _write(self, record: CallRecord) -> None:
        if len(self._over) >= _OVER_MAX:
            del self._over[next(iter(self._over))]
        self._over[record.call_id] = None
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
