"""What all checkers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from engine.config import TimersConfig
from sim.trace import MessageRecord, NoteRecord

MOST_TOLD = 100
"""Violations that one checker tells in full; more are counted only."""


class Violation(NamedTuple):
    """Something that must not happen, did."""

    time_s: float
    checker: str
    text: str


class NodeView(Protocol):
    """What a checker looks at in an edge's snapshot of a node."""

    @property
    def name(self) -> str: ...
    @property
    def in_use(self) -> Mapping[str, int]: ...


class Inspectable(Protocol):
    """The questions that an edge answers."""

    def open_transactions(self) -> int: ...
    def open_dialogs(self) -> int: ...
    def open_attempts(self) -> int: ...
    def relayed_calls(self) -> int: ...
    def nodes_snapshot(self) -> Sequence[NodeView]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long an edge may keep what nobody talks about any more."""

    give_up_s: float  # a client of anything but INVITE waits no longer (timer F)
    request_s: float  # a transaction other than INVITE, from its request on
    invite_s: float  # an INVITE transaction, from its request or the last provisional response on

    @classmethod
    def of(cls, timers: TimersConfig) -> Lifetimes:
        """From the edge's timers (RFC 3261 Table 4, RFC 6026), with 5 s for what the policy does in between."""
        long = 64.0 * timers.t1_s
        b, f, h, j, last, m = (
            long if timer is None else timer
            for timer in (timers.b_s, timers.f_s, timers.h_s, timers.j_s, timers.l_s, timers.m_s)
        )
        k = timers.t4_s if timers.k_s is None else timers.k_s
        request_s = f + max(j, k) + 5.0
        return cls(give_up_s=f, request_s=request_s, invite_s=timers.c_s + b + max(timers.d_s, h, last, m) + 5.0)


class Checker:
    """Base of the checkers: hears everything, collects violations."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._untold = 0

    def on_message(self, record: MessageRecord) -> None:
        """A message's fate was settled."""

    def on_note(self, record: NoteRecord) -> None:
        """A machine, or the world, told a fact."""

    def finish(self, now: float, edges: Mapping[str, Inspectable]) -> None:
        """The run is over; ``edges`` are those neither dead nor frozen."""

    def violated(self, time_s: float, text: str) -> None:
        if len(self.violations) < MOST_TOLD:
            self.violations.append(Violation(time_s, self.name, text))
        else:
            self._untold += 1
            more = Violation(time_s, self.name, f"and {self._untold} more")
            self.violations[MOST_TOLD:] = [more]
