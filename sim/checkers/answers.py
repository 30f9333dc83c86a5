"""No request without a final response."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from engine.notes import AttemptEnded
from sim.checkers.checker import Checker, Inspectable, Lifetimes
from sim.checkers.reading import branch_of, call_id_of, cseq_of, method_of, status_of
from sim.faults import FaultApplied
from sim.trace import MessageRecord, NoteRecord

_Key: TypeAlias = tuple[str, bytes, bytes]
"""Edge, branch and method: one server transaction (RFC 3261 §17.2.3)."""

_Relayed: TypeAlias = tuple[str, bytes, bytes, bytes]
"""Edge, Call-ID, CSeq number and method: what a request keeps when it is forwarded."""


class _Pending:
    """A request that reached an edge and has no final response yet."""

    __slots__ = ("answered_below", "forwarded", "key", "record", "relayed", "touched_s", "waiting")

    def __init__(self, key: _Key, relayed: _Relayed, record: MessageRecord) -> None:
        self.key = key
        self.relayed = relayed
        self.record = record
        self.touched_s = record.time_s
        self.forwarded = False
        self.waiting: set[str] = set()  # places that it was forwarded to and that the edge still listens to
        self.answered_below = False


class FinalResponses(Checker):
    """Each request that reaches an edge from anyone but an edge is answered by that edge, finally.

    Two things excuse an edge: it was killed meanwhile; or it forwarded a request other than INVITE and got no
    final response in time, for RFC 4320 §4.2 forbids it to say 408 then, and the client gives up by its timer F.
    """

    name: ClassVar[str] = "final responses"

    def __init__(self, lifetimes: Mapping[str, Lifetimes]) -> None:
        super().__init__()
        self._lifetimes = lifetimes
        self._pending: dict[_Key, _Pending] = {}
        self._relayed: dict[_Relayed, _Pending] = {}  # those other than INVITE, by what is kept on the way
        self._by_call: dict[tuple[str, bytes], _Pending] = {}  # the newest of these of each Call-ID
        self._answered: dict[_Key, float] = {}
        self._answers: deque[tuple[float, _Key]] = deque()

    def on_message(self, record: MessageRecord) -> None:
        edges = self._lifetimes
        status = status_of(record.data)
        if record.from_place in edges:
            if status:
                self._answer(record, status)
            else:
                self._forward(record)
        elif record.to_place in edges and record.fate in ("delivered", "duplicated"):
            if not status:
                self._request(record)
            elif status >= 200:
                self._answer_below(record)

    def on_note(self, record: NoteRecord) -> None:
        note = record.note
        if isinstance(note, AttemptEnded):
            pending = self._by_call.get((record.place, note.call_id.encode()))
            if pending is not None:
                pending.waiting.discard(note.node)
        elif isinstance(note, FaultApplied) and note.kind == "kill":
            for pending in list(self._pending.values()):
                lost_caller = pending.record.from_place == note.target and pending.record.transport == "tcp"
                if pending.key[0] == note.target or lost_caller:
                    self._drop(pending)

    def finish(self, now: float, edges: Mapping[str, Inspectable]) -> None:
        for pending in self._pending.values():
            place, _, method = pending.key
            edge = edges.get(place)
            if edge is None or (pending.forwarded and not pending.answered_below and method != b"INVITE"):
                continue
            lifetimes = self._lifetimes[place]
            # Nothing goes on at an edge that waits for nobody: no need to wait for timer C.
            patience_s = lifetimes.request_s
            if method == b"INVITE" and edge.open_attempts():
                patience_s = lifetimes.invite_s
            if now - pending.touched_s > patience_s:
                record = pending.record
                call_id = call_id_of(record.data).decode("utf-8", "replace")
                text = (
                    f"{place} never answered {method.decode('ascii', 'replace')} {call_id} of {record.from_place}"
                )
                self.violated(record.time_s, text)

    def _request(self, record: MessageRecord) -> None:
        data = record.data
        method = method_of(data)
        if method == b"ACK" or not method.isalpha():
            return
        key = (record.to_place, branch_of(data), method)
        if not key[1] or key in self._pending or key in self._answered:
            return
        call_id = call_id_of(data)
        pending = _Pending(key, (record.to_place, call_id, *cseq_of(data)), record)
        self._pending[key] = pending
        if method != b"INVITE":
            self._relayed[pending.relayed] = pending
            self._by_call[record.to_place, call_id] = pending

    def _forward(self, record: MessageRecord) -> None:
        if not record.data.startswith((b"INVITE ", b"ACK ")):
            pending = self._relayed.get((record.from_place, call_id_of(record.data), *cseq_of(record.data)))
            if pending is not None:
                pending.forwarded = True
                pending.waiting.add(record.to_place)

    def _answer_below(self, record: MessageRecord) -> None:
        number, method = cseq_of(record.data)
        if method == b"INVITE":
            return
        pending = self._relayed.get((record.to_place, call_id_of(record.data), number, method))
        if pending is not None and record.from_place in pending.waiting:
            in_time = record.time_s - pending.record.time_s < self._lifetimes[record.to_place].give_up_s
            pending.answered_below = pending.answered_below or in_time

    def _answer(self, record: MessageRecord, status: int) -> None:
        key = (record.from_place, branch_of(record.data), cseq_of(record.data)[1])
        pending = self._pending.get(key)
        if pending is None:
            return
        if status < 200:
            pending.touched_s = record.time_s
            return
        self._drop(pending)
        self._answered[key] = record.time_s
        self._answers.append((record.time_s, key))
        horizon_s = record.time_s - self._lifetimes[record.from_place].request_s
        while self._answers[0][0] < horizon_s:
            del self._answered[self._answers.popleft()[1]]

    def _drop(self, pending: _Pending) -> None:
        del self._pending[pending.key]
        if self._relayed.get(pending.relayed) is pending:
            del self._relayed[pending.relayed]
        call = pending.relayed[:2]
        if self._by_call.get(call) is pending:
            del self._by_call[call]
