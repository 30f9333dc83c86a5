"""No new call goes to a node that the edge itself knows to be down."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from engine.nodes.state import DISABLED, DOWN
from engine.notes import AttemptStarted, NodeStateChanged
from sim.checkers.checker import Checker
from sim.faults import FaultApplied
from sim.trace import NoteRecord


class KnownDown(Checker):
    """Follows each edge's own word about its nodes.

    ``heedless`` names the edges whose policy says that it disregards health (``Policy.honours_health``): only a
    node that an operator disabled is out of bounds there.
    """

    name: ClassVar[str] = "known down"

    def __init__(self, heedless: Collection[str] = ()) -> None:
        super().__init__()
        self._heedless = frozenset(heedless)
        self._states: dict[tuple[str, str], str] = {}

    def on_note(self, record: NoteRecord) -> None:
        note = record.note
        if isinstance(note, AttemptStarted):
            state = self._states.get((record.place, note.node))
            if state == DISABLED or (state == DOWN and record.place not in self._heedless):
                self.violated(
                    record.time_s, f"{record.place} sent {note.call_id} to {note.node}, which is {state}"
                )
        elif isinstance(note, NodeStateChanged):
            self._states[record.place, note.node] = note.after
        elif isinstance(note, FaultApplied) and note.kind == "kill":
            for key in [key for key in self._states if key[0] == note.target]:
                del self._states[key]
