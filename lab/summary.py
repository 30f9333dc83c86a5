"""The figures of a run: pure functions over its facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.facts import Attempt, Call, Event, Facts, Hearing, NodeState
from lab.reach import ReachFigures, reach_figures

DELAYED_ABOVE_S = 0.3
"""A caller who hears nothing for longer counts as delayed: a healthy set-up takes a few milliseconds."""


@dataclass(frozen=True, slots=True)
class CallFigures:
    """The callers' own truth. ``offered`` is the sum of answered, failed, gave_up and open."""

    offered: int
    answered: int
    failed: int
    gave_up: int
    open: int
    failed_over: int
    failed_over_answered: int
    cut_off: int
    delayed: int
    retransmissions: int
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DelayFigures:
    """Set-up delay in seconds: first INVITE to the first 180, 183 or 200; ``answer`` to the 200."""

    setup_p50_s: float | None
    setup_p99_s: float | None
    setup_max_s: float | None
    answer_p50_s: float | None
    answer_p99_s: float | None


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What one node carried. ``share`` is of all answered calls."""

    node: str
    attempts: int
    failed_attempts: int
    answered: int
    share: float


@dataclass(frozen=True, slots=True)
class Absence:
    """A node's process was away from ``gone_at_s`` to ``back_at_s`` (None: to the end)."""

    node: str
    cause: str
    gone_at_s: float
    back_at_s: float | None


@dataclass(frozen=True, slots=True)
class AbsenceFigures:
    """How soon the edges noticed. All in seconds after the node went, or came back; None: it never happened.

    ``last_attempt_s`` is None where no call was sent to the dead node at all.
    """

    node: str
    cause: str
    gone_at_s: float
    back_at_s: float | None
    attempts_while_gone: int
    last_attempt_s: float | None
    known_down_s: float | None
    first_attempt_back_s: float | None


@dataclass(frozen=True, slots=True)
class SoundFigures:
    """What agents heard, node's applications included. ``deaf`` are those who heard nobody in a call.

    ``wait`` is from the moment at which one knew where to listen to the first packet.
    """

    ears: int
    deaf: int
    wait_p99_s: float | None
    longest_gap_s: float
    lost: float | None
    mos_p50: float | None
    mos_min: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of a run."""

    calls: CallFigures
    delays: DelayFigures
    nodes: tuple[NodeFigures, ...]
    absences: tuple[AbsenceFigures, ...]
    agents: ReachFigures
    sound: SoundFigures


def summarise(facts: Facts, nodes: Sequence[str], warm_up_s: float, until_s: float) -> Summary:
    """The figures of a run.

    Parameters
    ----------
    facts : Facts
        What happened.
    nodes : sequence of str
        The nodes to list, also those that carried nothing.
    warm_up_s : float
        Calls and attempts before this second are left out, and what agents did until then.
    until_s : float
        When agents begin to go home: the end of the scenario.
    """
    calls = [call for call in facts.calls if call.placed_at_s >= warm_up_s]
    attempts = [attempt for attempt in facts.attempts if attempt.time_s >= warm_up_s]
    return Summary(
        calls=call_figures(calls),
        delays=delay_figures(calls),
        nodes=node_figures(calls, attempts, nodes),
        absences=tuple(
            absence_figures(absence, facts.attempts, facts.node_states)
            for absence in absences(facts.events, nodes)
        ),
        agents=reach_figures(facts.registrations, facts.pings, warm_up_s, until_s),
        sound=sound_figures([row for row in facts.media if row.began_s >= warm_up_s]),
    )


def call_figures(calls: Sequence[Call]) -> CallFigures:
    """Count calls by what became of them."""
    outcomes = Counter(call.outcome for call in calls)
    failures = Counter(f"{call.status} {call.reason}".strip() for call in calls if call.outcome == "failed")
    over = [call for call in calls if call.failed_over]
    return CallFigures(
        offered=len(calls),
        answered=outcomes["answered"],
        failed=outcomes["failed"],
        gave_up=outcomes["gave up"],
        open=outcomes["open"],
        failed_over=len(over),
        failed_over_answered=sum(call.outcome == "answered" for call in over),
        cut_off=sum(call.cut_off for call in calls),
        delayed=sum(call.setup_s is not None and call.setup_s > DELAYED_ABOVE_S for call in calls),
        retransmissions=sum(call.retransmissions for call in calls),
        failures=dict(failures.most_common()),
    )


def delay_figures(calls: Iterable[Call]) -> DelayFigures:
    """Percentiles of the set-up delay of answered calls."""
    answered = [call for call in calls if call.outcome == "answered"]
    setups = sorted(call.setup_s for call in answered if call.setup_s is not None)
    answers = sorted(call.answer_s for call in answered if call.answer_s is not None)
    return DelayFigures(
        setup_p50_s=percentile(setups, 0.5),
        setup_p99_s=percentile(setups, 0.99),
        setup_max_s=setups[-1] if setups else None,
        answer_p50_s=percentile(answers, 0.5),
        answer_p99_s=percentile(answers, 0.99),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` of ``ordered`` lies, between neighbours by straight line; None of nothing.

    Examples
    --------
    >>> percentile([1.0, 2.0, 4.0], 0.5)
    2.0
    """
    if not ordered:
        return None
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def node_figures(
    calls: Iterable[Call], attempts: Iterable[Attempt], nodes: Sequence[str]
) -> tuple[NodeFigures, ...]:
    """What each node carried, in the order of ``nodes``."""
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for attempt in attempts:
        tried[attempt.node] += 1
        failed[attempt.node] += attempt.status is not None
    answered = Counter(call.node for call in calls if call.outcome == "answered")
    total = sum(answered.values())
    return tuple(
        NodeFigures(node, tried[node], failed[node], answered[node], answered[node] / total if total else 0.0)
        for node in nodes
    )


def sound_figures(rows: Sequence[Hearing]) -> SoundFigures:
    """How agents heard each other; one that several speak to counts once for each."""
    heard = [row for row in rows if row.speaker]
    scores = sorted(row.mos for row in heard if row.mos is not None)
    packets, lost = sum(row.packets for row in heard), sum(row.lost for row in heard)
    return SoundFigures(
        ears=len(rows),
        deaf=len(rows) - len(heard),
        wait_p99_s=percentile(sorted(row.after_s for row in heard if row.after_s is not None), 0.99),
        longest_gap_s=max((row.longest_gap_s for row in heard), default=0.0),
        lost=lost / (packets + lost) if packets else None,
        mos_p50=percentile(scores, 0.5),
        mos_min=scores[0] if scores else None,
    )


def absences(events: Iterable[Event], nodes: Collection[str]) -> list[Absence]:
    """When a node's process was away (killed, frozen), and when it came back."""
    away: dict[str, tuple[str, float]] = {}
    found: list[Absence] = []
    for event in events:
        if event.target not in nodes:
            continue
        if event.kind in ("kill", "freeze"):
            away.setdefault(event.target, (event.kind, event.time_s))
        elif event.kind in ("start", "thaw") and event.target in away:
            cause, gone_at_s = away.pop(event.target)
            found.append(Absence(event.target, cause, gone_at_s, event.time_s))
    found += [Absence(node, cause, gone_at_s, None) for node, (cause, gone_at_s) in away.items()]
    return sorted(found, key=lambda absence: absence.gone_at_s)


def absence_figures(absence: Absence, attempts: Iterable[Attempt], states: Iterable[NodeState]) -> AbsenceFigures:
    """How the edges met a node's absence and its return."""
    gone_at_s, back_at_s = absence.gone_at_s, absence.back_at_s
    end_s = float("inf") if back_at_s is None else back_at_s
    times = [attempt.time_s for attempt in attempts if attempt.node == absence.node]
    meanwhile = [time_s for time_s in times if gone_at_s <= time_s < end_s]
    known = [
        state.time_s
        for state in states
        if state.node == absence.node and state.after == "down" and gone_at_s <= state.time_s < end_s
    ]
    back = [time_s for time_s in times if time_s >= end_s]
    return AbsenceFigures(
        node=absence.node,
        cause=absence.cause,
        gone_at_s=gone_at_s,
        back_at_s=back_at_s,
        attempts_while_gone=len(meanwhile),
        last_attempt_s=max(meanwhile) - gone_at_s if meanwhile else None,
        known_down_s=min(known) - gone_at_s if known else None,
        first_attempt_back_s=min(back) - end_s if back else None,
    )
