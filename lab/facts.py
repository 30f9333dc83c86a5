"""From the notes of a run to rows: calls, attempts, decisions, node states.

Plain lists of small rows, without pandas, so that a summary costs no heavy import; `lab.results` makes data frames
of them. Times are in seconds from the start of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Literal, TypeAlias

from engine import notes as edge
from lab.reach import Ping, Reach, Registration
from sim.agents import notes as agent
from sim.faults import FaultApplied
from sim.media import Heard
from sim.trace import NoteRecord

Outcome: TypeAlias = Literal["answered", "failed", "gave up", "open"]
"""What became of a call, as its caller saw it. ``open``: the run ended before an answer."""

HUNG_UP = ("hung up", "far end hung up")
"""Ends of an answered call that its users wanted."""


@dataclass(slots=True)
class Call:
    """One call, told by its caller; ``edge``, ``node`` and ``attempts`` by the edge that carried it."""

    call_id: str
    caller: str
    user: str
    to: str
    placed_at_s: float
    outcome: Outcome = "open"
    first_status: int | None = None
    setup_s: float | None = None
    answer_s: float | None = None
    status: int | None = None
    reason: str = ""
    why: str = ""
    retransmissions: int = 0
    edge: str = ""
    node: str = ""
    attempts: int = 0
    ended_at_s: float | None = None
    end_why: str = ""
    talk_s: float | None = None

    @property
    def failed_over(self) -> bool:
        """Whether a second node had to be tried."""
        return self.attempts > 1

    @property
    def cut_off(self) -> bool:
        """Whether it was answered, and then ended otherwise than by its users."""
        return self.outcome == "answered" and bool(self.end_why) and self.end_why not in HUNG_UP


@dataclass(slots=True)
class Attempt:
    """A request sent to a node. The one that was accepted has neither end nor status."""

    time_s: float
    edge: str
    call_id: str
    node: str
    attempt: int
    ended_at_s: float | None = None
    status: int | None = None
    why: str = ""
    elapsed_s: float | None = None


@dataclass(slots=True)
class Decision:
    """A node was chosen (``chosen`` is "" where none could be), and why the others were not."""

    time_s: float
    edge: str
    call_id: str
    policy: str
    group: str
    resource: str
    chosen: str
    why: str
    passed_over: str


@dataclass(slots=True)
class NodeState:
    """A node left one state for another, in the eyes of one edge."""

    time_s: float
    edge: str
    node: str
    before: str
    after: str
    why: str


@dataclass(slots=True)
class Event:
    """A fault, or an operator's order. ``other`` is the far end of a link, or the edge that got the order."""

    time_s: float
    kind: str
    target: str
    other: str
    detail: str


@dataclass(slots=True)
class Hearing:
    """What one agent heard of one speaker in one call, "" where it heard nobody (simulation only).

    ``after_s`` runs from the moment at which it knew where to listen to the first packet.
    """

    time_s: float
    call_id: str
    listener: str
    speaker: str
    began_s: float
    first_s: float | None
    last_s: float | None
    after_s: float | None
    packets: int
    lost: int
    gaps: int
    longest_gap_s: float
    delay_ms: float | None
    mos: float | None


@dataclass(slots=True)
class RelayedSide:
    """What a relay heard of one side of a call."""

    time_s: float
    edge: str
    call_id: str
    side: str
    codec: str
    duration_s: float
    packets: int
    lost: int
    jitter_ms: float
    round_trip_ms: float | None
    mos: float | None
    dropped: int


@dataclass(slots=True, repr=False)
class Facts:
    """What happened in a run, as rows in the order of time."""

    calls: list[Call] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    node_states: list[NodeState] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    pings: list[Ping] = field(default_factory=list)
    media: list[Hearing] = field(default_factory=list)
    relayed: list[RelayedSide] = field(default_factory=list)

    def __repr__(self) -> str:
        told = ", ".join(f"{each.name} {len(getattr(self, each.name)):,}" for each in fields(self))
        return f"<Facts, rows of each: {told}>"


def gather(records: Iterable[NoteRecord]) -> Facts:
    """Sort the notes of a run into rows."""
    gathering = Gathering()
    for record in records:
        gathering.on_note(record)
    return gathering.facts


class Gathering:
    """Listens to a trace, and keeps ``facts`` alone: less than the notes take, in runs of many calls."""

    def __init__(self) -> None:
        self._reach = Reach()
        self.facts = Facts(registrations=self._reach.registrations, pings=self._reach.pings)
        self._calls: dict[str, Call] = {}
        self._open_attempts: dict[tuple[str, str, int], Attempt] = {}

    def on_note(self, record: NoteRecord) -> None:
        """A machine told a fact."""
        time_s, place, note = record
        self._reach.take(time_s, place, note)
        match note:
            case agent.CallPlaced():
                call = Call(note.call_id, place, note.user, note.to, time_s)
                self._calls[note.call_id] = call
                self.facts.calls.append(call)
            case agent.CallSetUp() | agent.CallLost() | agent.CallEnded():
                if note.call_id in self._calls:
                    _told_by_caller(self._calls[note.call_id], time_s, note)
            case edge.AttemptStarted():
                self._attempt_started(time_s, place, note)
            case edge.AttemptEnded():
                self._attempt_ended(time_s, place, note)
            case edge.CallAnswered():
                if note.call_id in self._calls:
                    self._calls[note.call_id].node = note.node
            case edge.DecisionTaken():
                self.facts.decisions.append(_decision(time_s, place, note))
            case edge.NodeStateChanged():
                row = NodeState(time_s, place, note.node, note.before, note.after, note.why)
                self.facts.node_states.append(row)
            case Heard():
                told = (getattr(note, each.name) for each in fields(note))
                self.facts.media.append(Hearing(time_s, *told))
            case edge.MediaEnded():
                self.facts.relayed.append(_relayed(time_s, place, note))
            case FaultApplied():
                self.facts.events.append(Event(time_s, note.kind, note.target, note.other, note.detail))

    def _attempt_started(self, time_s: float, place: str, note: edge.AttemptStarted) -> None:
        attempt = Attempt(time_s, place, note.call_id, note.node, note.attempt)
        self.facts.attempts.append(attempt)
        self._open_attempts[place, note.call_id, note.attempt] = attempt
        call = self._calls.get(note.call_id)
        if call is not None:
            call.edge, call.node = place, note.node
            call.attempts = max(call.attempts, note.attempt)

    def _attempt_ended(self, time_s: float, place: str, note: edge.AttemptEnded) -> None:
        attempt = self._open_attempts.pop((place, note.call_id, note.attempt), None)
        if attempt is not None:
            attempt.ended_at_s, attempt.elapsed_s = time_s, note.elapsed_s
            attempt.status, attempt.why = note.status, note.why


def _told_by_caller(call: Call, time_s: float, note: agent.CallSetUp | agent.CallLost | agent.CallEnded) -> None:
    match note:
        case agent.CallSetUp():
            call.outcome = "answered"
            call.status, call.first_status = 200, note.first_status
            call.setup_s, call.answer_s = note.setup_s, note.answer_s
            call.retransmissions = note.retransmissions
        case agent.CallLost():
            call.outcome = "gave up" if note.why == "gave up" else "failed"
            call.status, call.reason, call.why = note.status, note.reason, note.why
            call.retransmissions = note.retransmissions
            call.ended_at_s = time_s
        case agent.CallEnded():
            call.ended_at_s, call.end_why, call.talk_s = time_s, note.why, note.duration_s


def _relayed(time_s: float, place: str, note: edge.MediaEnded) -> RelayedSide:
    return RelayedSide(
        time_s,
        place,
        note.call_id,
        note.side,
        note.codec,
        note.duration_s,
        note.packets,
        note.lost,
        note.jitter_ms,
        note.round_trip_ms,
        note.mos,
        note.dropped,
    )


def _decision(time_s: float, place: str, note: edge.DecisionTaken) -> Decision:
    passed_over = "; ".join(f"{node}: {why}" for node, why in note.passed_over)
    return Decision(
        time_s,
        place,
        note.call_id,
        note.policy,
        note.group,
        note.resource,
        note.chosen,
        note.why,
        passed_over,
    )
