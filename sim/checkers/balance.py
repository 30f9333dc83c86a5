"""Dialogs balance to zero, and no call slot leaks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar, TypeAlias

from sim.checkers.checker import Checker, Inspectable
from sim.checkers.reading import call_id_of, cseq_of, from_tag_of, method_of, status_of, to_tag_of
from sim.faults import FaultApplied
from sim.trace import MessageRecord, NoteRecord

_Dialog: TypeAlias = tuple[bytes, bytes]
"""Call-ID and the callee's tag: forks of one INVITE are dialogs of their own (RFC 3261 §12.1)."""

LATE_S = 64.0
"""So long after a BYE, a copy of the 2xx that is still under way makes no new dialog."""


class _Standing:
    """The dialogs that stand at one edge, by what reached it: a 2xx to an INVITE begins one, a BYE ends it."""

    def __init__(self) -> None:
        self._dialogs: set[_Dialog] = set()
        self._ended: dict[_Dialog, float] = {}  # in the order of their ends
        self._stood: set[_Dialog] = set()  # those of them that had begun

    def begin(self, dialog: _Dialog) -> None:
        if dialog not in self._ended:
            self._dialogs.add(dialog)

    def end(self, time_s: float, dialog: _Dialog) -> None:
        if dialog in self._dialogs:
            self._dialogs.discard(dialog)
            self._stood.add(dialog)
        self._ended.pop(dialog, None)
        self._ended[dialog] = time_s
        while self._ended[oldest := next(iter(self._ended))] < time_s - LATE_S:
            del self._ended[oldest]
            self._stood.discard(oldest)

    def unwritten(self) -> None:
        """Its process is killed, and a database keeps its dialogs: the last ends may not have been written."""
        self._dialogs |= self._stood
        self._stood.clear()
        self._ended.clear()

    def __len__(self) -> int:
        return len(self._dialogs)


class DialogBalance(Checker):
    """At the end, an edge may hold no dialog whose BYE reached it. Those of edges in ``kept`` outlive them."""

    name: ClassVar[str] = "dialog balance"

    def __init__(self, edges: Collection[str], kept: Collection[str] = ()) -> None:
        super().__init__()
        self._kept = frozenset(kept)
        self._edges = {edge: _Standing() for edge in edges}

    def on_message(self, record: MessageRecord) -> None:
        edge = self._edges.get(record.to_place)
        if edge is None or record.fate not in ("delivered", "duplicated"):
            return
        data = record.data
        if 200 <= status_of(data) < 300:
            if cseq_of(data)[1] == b"INVITE":
                edge.begin((call_id_of(data), to_tag_of(data)))
        elif method_of(data) == b"BYE":
            call_id = call_id_of(data)
            for tag in (to_tag_of(data), from_tag_of(data)):  # either side may hang up
                edge.end(record.time_s, (call_id, tag))

    def on_note(self, record: NoteRecord) -> None:
        note = record.note
        if isinstance(note, FaultApplied) and note.kind == "kill" and note.target in self._edges:
            if note.target in self._kept:
                self._edges[note.target].unwritten()
            else:
                self._edges[note.target] = _Standing()

    def standing(self, edge: str) -> int:
        """How many dialogs stand at an edge."""
        return len(self._edges[edge])

    def finish(self, now: float, edges: Mapping[str, Inspectable]) -> None:
        for name, edge in edges.items():
            standing = self.standing(name)
            if edge.open_dialogs() > standing:
                text = f"{name} holds {edge.open_dialogs()} dialogs, the BYEs of all but {standing} reached it"
                self.violated(now, text)


class SlotBalance(Checker):
    """At the end, an edge may hold no more channels of its nodes than it has dialogs and requests under way."""

    name: ClassVar[str] = "slot balance"

    def finish(self, now: float, edges: Mapping[str, Inspectable]) -> None:
        for name, edge in edges.items():
            in_use = {node.name: sum(node.in_use.values()) for node in edge.nodes_snapshot()}
            for node, used in in_use.items():
                if used < 0:
                    self.violated(now, f"{name} holds {used} channels of {node}")
            bound = edge.open_dialogs() + edge.open_attempts()
            if sum(in_use.values()) > bound:
                held = ", ".join(f"{used} of {node}" for node, used in in_use.items() if used)
                self.violated(now, f"{name} holds channels ({held}) for {bound} dialogs and attempts")
