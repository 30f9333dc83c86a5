"""Figures as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.report import Report
from lab.summary import DELAYED_ABOVE_S, AbsenceFigures, Summary
from lab.wording import milliseconds, seconds, share

_FAILURES_SHOWN = 8
_VIOLATIONS_SHOWN = 10


def print_report(console: Console, report: Report) -> None:
    """The figures of a run."""
    summary = report.summary
    console.print(_heading(report))
    console.print(_calls(summary))
    if summary.nodes:
        console.print(_nodes(summary))
    if summary.agents.agents:
        console.print(_agents(summary))
    if summary.sound.ears:
        console.print(_sound(summary))
    if summary.absences:
        console.print(_absences(summary.absences))
    console.print(_verdict(report))


def table(title: str, *columns: str, rows: Sequence[Sequence[RenderableType]], words: int = 1) -> Table:
    """A plain table; its first ``words`` columns hold words, the others figures."""
    made = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < words else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def _heading(report: Report) -> Text:
    outcome = report.outcome
    what = "simulated" if outcome.world == "simulation" else "rehearsed on loopback sockets"
    return Text.assemble(
        (f"{outcome.topology.name}", "bold"),
        f": {outcome.duration_s:g} s of scenario {outcome.scenario} {what} in {outcome.wall_s:.1f} s, ",
        f"policy {outcome.policy}, seed {outcome.seed}\n",
    )


def _calls(summary: Summary) -> Group:
    calls, delays = summary.calls, summary.delays
    rows = [
        ("offered", f"{calls.offered:,}", ""),
        ("answered", f"{calls.answered:,}", share(calls.answered, calls.offered)),
        ("failed", f"{calls.failed:,}", share(calls.failed, calls.offered)),
        ("caller gave up", f"{calls.gave_up:,}", share(calls.gave_up, calls.offered)),
        ("failed over", f"{calls.failed_over:,}", f"{calls.failed_over_answered:,} answered"),
        ("cut off while they stood", f"{calls.cut_off:,}", share(calls.cut_off, calls.answered)),
        (f"delayed above {DELAYED_ABOVE_S:g} s", f"{calls.delayed:,}", share(calls.delayed, calls.offered)),
    ]
    if calls.open:
        rows.append(("without an answer at the end", f"{calls.open:,}", share(calls.open, calls.offered)))
    parts: list[RenderableType] = [table("Calls, as their callers saw them", "", "calls", "", rows=rows), ""]
    if calls.failures:
        worst = list(calls.failures.items())[:_FAILURES_SHOWN]
        parts += [table("Failures", "final response", "calls", rows=[(why, f"{n:,}") for why, n in worst]), ""]
    delay_rows = [
        (
            "to the first 180, 183 or 200",
            milliseconds(delays.setup_p50_s),
            milliseconds(delays.setup_p99_s),
            milliseconds(delays.setup_max_s),
        ),
        ("to the 200", milliseconds(delays.answer_p50_s), milliseconds(delays.answer_p99_s), ""),
    ]
    parts += [table("Set-up delay", "from the first INVITE", "p50", "p99", "longest", rows=delay_rows), ""]
    return Group(*parts)


def _nodes(summary: Summary) -> Group:
    rows = [
        (
            node.node,
            f"{node.answered:,}",
            share(node.answered, summary.calls.answered),
            f"{node.attempts:,}",
            f"{node.failed_attempts:,}",
        )
        for node in summary.nodes
    ]
    return Group(table("Nodes", "", "answered", "share", "attempts", "of them failed", rows=rows), "")


def _agents(summary: Summary) -> Group:
    agents = summary.agents
    rows = [
        ("registered", f"{agents.agents:,}", ""),
        ("of their time reachable", "" if agents.share is None else f"{agents.share:.3%}", ""),
        ("logged out unasked", f"{agents.log_outs:,} x", f"{agents.agents_logged_out:,} agents"),
        ("unreachable", f"{agents.unreachable_s:,.1f} s", f"longest {agents.longest_s:,.1f} s"),
    ]
    if agents.pings:
        rows.append(("pinged by the nodes", f"{agents.pings:,} x", f"{agents.pings_failed:,} without answer"))
    return Group(table("Agents, while they wanted to be registered", "", "", "", rows=rows), "")


def _sound(summary: Summary) -> Group:
    sound = summary.sound
    rows = [
        ("listened", f"{sound.ears:,}", ""),
        ("of them heard nobody", f"{sound.deaf:,}", share(sound.deaf, sound.ears)),
        ("waited for the first packet, p99", milliseconds(sound.wait_p99_s), ""),
        ("packets lost", "" if sound.lost is None else f"{sound.lost:.2%}", ""),
        ("longest gap", f"{sound.longest_gap_s:.2f} s", ""),
        ("MOS, median", _mos(sound.mos_p50), f"worst {_mos(sound.mos_min)}"),
    ]
    return Group(table("Sound, as agents heard it", "", "", "", rows=rows), "")


def _mos(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"


def _absences(absences: Sequence[AbsenceFigures]) -> Group:
    rows = [
        (
            f"{each.node}, {each.cause} at {each.gone_at_s:.0f} s",
            seconds(each.known_down_s, "never"),
            seconds(each.last_attempt_s, "none chosen"),
            f"{each.attempts_while_gone:,} x",
            "" if each.back_at_s is None else seconds(each.first_attempt_back_s, "never"),
        )
        for each in absences
    ]
    columns = ("", "known down", "last chosen", "chosen", "back in use")
    return Group(table("Deaths and returns: how long after", *columns, rows=rows), "")


def _verdict(report: Report) -> Text:
    outcome = report.outcome
    text = Text()
    if report.sound:
        text.append("checkers: ").append("all silent", "bold green")
    else:
        text.append("checkers: ").append(f"{len(outcome.violations):,} violations", "bold red")
        for violation in outcome.violations[:_VIOLATIONS_SHOWN]:
            text.append(f"\n  {violation.time_s:.3f} s  {violation.checker}: {violation.text}")
        if len(outcome.violations) > _VIOLATIONS_SHOWN:
            text.append(f"\n  and {len(outcome.violations) - _VIOLATIONS_SHOWN:,} more in summary.json")
    if outcome.trace_hash:
        text.append(f"\ntrace:    {outcome.trace_hash}")
    return text
