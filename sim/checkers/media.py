"""No call gets another's sound, and no relayed call outlives its dialog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sim.checkers.balance import DialogBalance
from sim.checkers.checker import Inspectable
from sim.media.hearing import MediaStrayed
from sim.trace import NoteRecord


class MediaBalance(DialogBalance):
    """Packets reach nobody but their own call; at the end an edge relays no call whose BYE reached it."""

    name: ClassVar[str] = "media balance"

    def on_note(self, record: NoteRecord) -> None:
        super().on_note(record)
        note = record.note
        if isinstance(note, MediaStrayed):
            text = f"{note.listener} in {note.call_id} got packets of {note.speaker} in {note.other_call_id}"
            self.violated(record.time_s, text)

    def finish(self, now: float, edges: Mapping[str, Inspectable]) -> None:
        for name, edge in edges.items():
            bound = self.standing(name) + edge.open_attempts()
            if edge.relayed_calls() > bound:
                self.violated(now, f"{name} relays {edge.relayed_calls()} calls, of which {bound} stand")
