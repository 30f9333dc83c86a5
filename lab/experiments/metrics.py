"""The figures of a run as one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from lab.summary import AbsenceFigures, Summary

if TYPE_CHECKING:
    from lab.results import Frames

Measure: TypeAlias = "Callable[[Frames], float]"
"""A figure of an author's own, from the tables of a run."""


def figures(summary: Summary) -> dict[str, Any]:
    """Everything that every run is measured by; None where there was nothing to measure.

    Shares are of the calls offered after the warm-up. Of several deaths in a run the worst counts.
    """
    calls, delays = summary.calls, summary.delays

    def share(part: int) -> float | None:
        return part / calls.offered if calls.offered else None

    return {
        "calls_offered": calls.offered,
        "calls_answered": calls.answered,
        "calls_failed": calls.failed,
        "calls_gave_up": calls.gave_up,
        "calls_open": calls.open,
        "calls_failed_over": calls.failed_over,
        "calls_cut_off": calls.cut_off,
        "calls_delayed": calls.delayed,
        "retransmissions": calls.retransmissions,
        "answered_share": share(calls.answered),
        "failed_share": share(calls.failed),
        "delayed_share": share(calls.delayed),
        "cut_off_share": calls.cut_off / calls.answered if calls.answered else None,
        "setup_p50_s": delays.setup_p50_s,
        "setup_p99_s": delays.setup_p99_s,
        "setup_max_s": delays.setup_max_s,
        "known_down_s": _worst(summary.absences, lambda each: each.known_down_s),
        "last_attempt_s": _worst(summary.absences, lambda each: each.last_attempt_s),
        "attempts_while_gone": sum(each.attempts_while_gone for each in summary.absences),
        "back_in_use_s": _worst(summary.absences, lambda each: each.first_attempt_back_s),
        "agents": summary.agents.agents,
        "agents_reachable_share": summary.agents.share,
        "agents_logged_out": summary.agents.agents_logged_out,
        "log_outs": summary.agents.log_outs,
        "unreachable_s": summary.agents.unreachable_s,
        "unreachable_longest_s": summary.agents.longest_s,
        "pings": summary.agents.pings,
        "pings_failed": summary.agents.pings_failed,
    }


INTEGERS = (
    "calls_offered",
    "calls_answered",
    "calls_failed",
    "calls_gave_up",
    "calls_open",
    "calls_failed_over",
    "calls_cut_off",
    "calls_delayed",
    "retransmissions",
    "attempts_while_gone",
    "agents",
    "agents_logged_out",
    "log_outs",
    "pings",
    "pings_failed",
    "violations",
)


def _worst(absences: Iterable[AbsenceFigures], figure: Callable[[AbsenceFigures], float | None]) -> float | None:
    return max((value for each in absences if (value := figure(each)) is not None), default=None)
