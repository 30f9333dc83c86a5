"""Keeps the messages of the one call worth showing, in bounded memory, while a run goes on.

Which call that is turns out only after its first messages have passed: so those of the youngest calls are kept,
and a call is held on to once it has failed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.notes import CallAnswered, CallFailed
from lab.facts import HUNG_UP
from sim.agents.notes import CallEnded, CallPlaced
from sim.trace import MessageRecord, NoteRecord

YOUNGEST: Final = 2000  # a call fails over within seconds of its first INVITE; a few MB
MESSAGES_MAX: Final = 400  # of one call

_CALL_ID = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*([^\r\n]+?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def call_id_of(data: bytes) -> str | None:
    """The Call-ID of a message, read in a hurry; None where it has none."""
    found = _CALL_ID.search(data)
    return None if found is None else found[1].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call, why it was picked, and its messages in the order in which they were sent."""

    call_id: str
    why: str
    messages: tuple[MessageRecord, ...]


class CallWatch:
    """Listens to a trace; afterwards ``shown`` is the first call that failed over and was answered.

    Where there is none it is the first that failed, else the first that was cut off, else the first of all.
    """

    def __init__(self) -> None:
        self._messages: dict[str, list[MessageRecord]] = {}
        self._first = self._failed = self._cut_off = self._failed_over = ""

    def on_message(self, record: MessageRecord) -> None:
        """A message went over the wire."""
        call_id = call_id_of(record.data)
        if call_id is None:
            return
        kept = self._messages.get(call_id)
        if kept is None:
            if self._failed_over:
                return
            kept = self._messages[call_id] = []
            self._forget_oldest()
        if len(kept) < MESSAGES_MAX:
            kept.append(record)

    def on_note(self, record: NoteRecord) -> None:
        """A machine told a fact."""
        note = record.note
        if isinstance(note, CallPlaced):
            self._first = self._first or note.call_id
        elif isinstance(note, CallFailed) and note.method == "INVITE":
            self._failed = self._failed or note.call_id
        elif isinstance(note, CallEnded) and note.why not in HUNG_UP:
            self._cut_off = self._cut_off or note.call_id
        elif isinstance(note, CallAnswered) and note.method == "INVITE" and note.attempts > 1:
            self._hold_on_to(note.call_id)

    @property
    def shown(self) -> ShownCall | None:
        """The call to show, None where no call was made."""
        for call_id, why in (
            (self._failed_over, "failed over to another node"),
            (self._failed, "failed"),
            (self._cut_off, "cut off (none failed over)"),
            (self._first, "the first call (none failed over)"),
        ):
            if call_id and self._messages.get(call_id):
                messages = sorted(self._messages[call_id], key=lambda message: message.order)
                return ShownCall(call_id, why, tuple(messages))
        return None

    def _hold_on_to(self, call_id: str) -> None:
        if call_id in self._messages and not self._failed_over:
            self._failed_over = call_id
            self._messages = {call_id: self._messages[call_id]}

    def _forget_oldest(self) -> None:
        if len(self._messages) > YOUNGEST:
            pinned = (self._first, self._failed, self._cut_off)
            del self._messages[next(call_id for call_id in self._messages if call_id not in pinned)]
