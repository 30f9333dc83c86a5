"""The report of a run: figures, tables and pictures, in memory and on disk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine import __version__
from lab.errors import InputError
from lab.facts import Facts, gather
from lab.ladder import Ladder, as_text, build_ladder
from lab.outcome import Outcome
from lab.outputs import ready_directory, refused
from lab.results import FrameFormat, Frames, to_frames, write_frames
from lab.summary import Summary, summarise
from lab.watch import call_id_of
from topologies.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


RESULTS: Final = Path("results")
"""Where reports go, each into a directory of its own."""

NO_PARQUET: Final = "Parquet takes pyarrow - pip install 'siptwin[parquet]', or --format csv"


@dataclass(frozen=True, repr=False)
class Report:
    """A run and what can be said about it."""

    outcome: Outcome
    facts: Facts
    summary: Summary

    @property
    def sound(self) -> bool:
        """Whether every checker was silent."""
        return not self.outcome.violations

    @cached_property
    def frames(self) -> Frames:
        """Calls, attempts, decisions, node states and events as data frames."""
        return to_frames(self.facts)

    @property
    def messages(self) -> pd.DataFrame:
        """Every message on the wire as a data frame.

        Raises
        ------
        InputError
            If they were not kept.
        """
        from lab.results import messages_frame

        if not self.outcome.messages:
            raise InputError("the messages were not kept - run simulate(..., messages=True)")
        return messages_frame(self.outcome.messages)

    def timeline(self) -> Figure:
        """The run as a picture: calls, set-up delays, node states, faults."""
        from lab.plots.timeline import Timeline, draw_timeline, marks_of

        outcome = self.outcome
        topology = outcome.topology
        return draw_timeline(
            Timeline(
                title=f"{topology.name}, scenario {outcome.scenario}, "
                f"policy {outcome.policy}, seed {outcome.seed}",
                facts=self.facts,
                nodes=[(edge, node) for edge in topology.edges for node in topology.served(edge)],
                duration_s=outcome.duration_s,
                end_s=outcome.end_s,
                marks=marks_of(self.facts.events),
                disabled=frozenset(name for name, node in topology.nodes.items() if not node.enabled),
            )
        )

    def graph(self) -> Figure:
        """The topology, with the calls that took each way."""
        from lab.plots.graph import draw_topology, ways_of

        topology = self.outcome.topology
        return draw_topology(topology, ways_of(self.facts, topology), self.outcome.policy)

    def call(self, call_id: str | None = None) -> Ladder:
        """The messages of a call as a ladder; default: of the one worth showing.

        Raises
        ------
        InputError
            If its messages were not kept, or there was no such call.
        """
        shown = self.outcome.shown
        if shown is not None and call_id in (None, shown.call_id):
            return build_ladder(shown.messages, f"Call {shown.call_id}: {shown.why}")
        if call_id is None:
            raise InputError("no call was made - look at the scenario's traffic")
        known = [call.call_id for call in self.facts.calls]
        if call_id not in known:
            raise InputError(f"there was no call {call_id!r} - {did_you_mean(call_id, known)}")
        messages = [message for message in self.outcome.messages if call_id_of(message.data) == call_id]
        if not messages:
            raise InputError(f"the messages of {call_id} were not kept - run simulate(..., messages=True)")
        return build_ladder(sorted(messages, key=lambda message: message.order), f"Call {call_id}")

    def __repr__(self) -> str:
        outcome, calls = self.outcome, self.summary.calls
        return (
            f"<Report: {outcome.topology.name}, scenario {outcome.scenario}, policy {outcome.policy}, "
            f"seed {outcome.seed}: {calls.offered} calls, {calls.answered} answered>"
        )

    def _repr_html_(self) -> str:
        from lab.notebook import report_html

        return report_html(self)

    def to_json(self) -> dict[str, Any]:
        """All figures as plain values, with what is needed to run it again."""
        outcome = self.outcome
        topology = outcome.topology
        return {
            "siptwin": __version__,
            "world": outcome.world,
            "topology": {
                "name": topology.name,
                "file": str(topology.source_path or ""),
                "fingerprint": outcome.fingerprint,
            },
            "scenario": outcome.scenario,
            "policy": outcome.policy,
            "seed": outcome.seed,
            "duration_s": outcome.duration_s,
            "end_s": outcome.end_s,
            "wall_s": outcome.wall_s,
            "trace_hash": outcome.trace_hash,
            **asdict(self.summary),
            "violations": [violation._asdict() for violation in outcome.violations],
            "ladder_call_id": outcome.shown.call_id if outcome.shown else None,
        }


def report_on(outcome: Outcome) -> Report:
    """Compute the figures of a run; calls placed during the scenario's warm-up are left out of them."""
    facts = gather(outcome.notes)
    warm_up_s = outcome.topology.scenario(outcome.scenario).warm_up_s
    return Report(outcome, facts, summarise(facts, tuple(outcome.topology.nodes), warm_up_s, outcome.duration_s))


def default_directory(outcome: Outcome) -> Path:
    """Where a report goes unless said otherwise: ``results/<topology>-<scenario>-<seed>``."""
    kind = "" if outcome.world == "simulation" else f"-{outcome.world}"
    return RESULTS / f"{outcome.topology.name}-{outcome.scenario}-{outcome.seed}{kind}"


def write_report(report: Report, directory: Path, form: FrameFormat, *, pictures: bool = True) -> list[Path]:
    """Write tables, ladder, pictures and ``summary.json``; return the files.

    Raises
    ------
    InputError
        If the directory cannot be written, or Parquet is asked for and its library is missing.
    """
    ready_directory(directory)
    try:
        written = write_frames(report.frames, directory, form)
        written += _write_ladder(report, directory, pictures=pictures)
        if pictures:
            written.append(_write_timeline(report, directory))
        summary = directory / "summary.json"
        summary.write_text(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise refused(directory, error) from None
    except ImportError:
        raise InputError(NO_PARQUET) from None
    return [*written, summary]


def _write_ladder(report: Report, directory: Path, *, pictures: bool) -> list[Path]:
    if report.outcome.shown is None:
        return []
    ladder = report.call()
    text = directory / "ladder.txt"
    text.write_text(as_text(ladder), encoding="utf-8")
    if not pictures:
        return [text]
    from lab.plots.ladder import draw_ladder
    from lab.plots.style import save

    return [text, save(draw_ladder(ladder), directory / "ladder.png")]


def _write_timeline(report: Report, directory: Path) -> Path:
    from lab.plots.style import save

    return save(report.timeline(), directory / "timeline.png")
