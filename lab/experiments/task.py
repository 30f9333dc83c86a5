"""One run of an experiment: what a worker is sent, what it does, what it sends back."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from engine import __version__
from lab.experiments.metrics import Measure, figures
from lab.facts import Gathering
from lab.summary import summarise
from sim.build import PolicyChoice
from sim.trace import MessageRecord
from topologies import Topology

if TYPE_CHECKING:
    import pandas as pd


MESSAGES: Final = "messages"
"""The table that is kept only where it is asked for: it has a dozen rows a call."""

Level: TypeAlias = Literal["messages", "calls"]
"""What is simulated: every message (`sim.run`), or calls and channels alone (`sim.calls`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One replication of one variant."""

    variant: int
    replication: int
    seed: int
    topology: Topology
    scenario: str
    policy: PolicyChoice
    duration_s: float | None
    level: Level
    keep: tuple[str, ...]
    measures: Mapping[str, Measure]

    @property
    def key(self) -> tuple[int, int]:
        """Its place among the runs."""
        return self.variant, self.replication


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a task: its figures and tables, or why it failed (``error``, one line, and ``trace``)."""

    variant: int
    replication: int
    seed: int
    figures: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    error: str = ""
    trace: str = ""

    @property
    def key(self) -> tuple[int, int]:
        """Its place among the runs."""
        return self.variant, self.replication


def run_task(task: Task) -> Done:
    """Simulate. Whatever the policy, a measure or siptwin itself raises becomes part of the result."""
    try:
        return _simulate(task)
    except Exception as error:
        return failed(task, error)


def failed(task: Task, error: BaseException) -> Done:
    """What is reported of a run that failed."""
    return Done(
        variant=task.variant,
        replication=task.replication,
        seed=task.seed,
        figures={},
        tables={},
        error=" ".join(f"{type(error).__name__}: {error}".split()),
        trace="".join(traceback.format_exception(error)),
    )


def version() -> str:
    """Of the siptwin that a worker has."""
    return __version__


def _simulate(task: Task) -> Done:
    gathering = Gathering()
    messages: list[MessageRecord] = []
    checked = _run(task, gathering, messages)
    scenario = task.topology.scenario(task.scenario)
    until_s = scenario.duration_s if task.duration_s is None else task.duration_s
    summary = summarise(gathering.facts, tuple(task.topology.nodes), scenario.warm_up_s, until_s)
    measured: dict[str, float] = {}
    tables: dict[str, pd.DataFrame] = {}
    if task.measures or task.keep:  # else a worker is spared the data frames, and half of its start
        from lab.results import messages_frame, to_frames

        frames = to_frames(gathering.facts)
        measured = {name: float(measure(frames)) for name, measure in task.measures.items()}
        tables = {each.name: getattr(frames, each.name) for each in fields(frames) if each.name in task.keep}
        if MESSAGES in task.keep:
            tables[MESSAGES] = messages_frame(messages)
    return Done(
        variant=task.variant,
        replication=task.replication,
        seed=task.seed,
        figures={
            **figures(summary),
            **measured,
            **checked,
        },
        tables=tables,
    )


def _run(task: Task, gathering: Gathering, messages: list[MessageRecord]) -> dict[str, Any]:
    """Run, and tell what only the host knows."""
    policy = copy.deepcopy(task.policy)  # an object of the author's remembers; each run begins afresh
    if task.level == "calls":
        from sim.calls import simulate_calls

        end_s = simulate_calls(
            task.topology,
            scenario=task.scenario,
            policy=policy,
            seed=task.seed,
            duration_s=task.duration_s,
            on_note=gathering.on_note,
        )
        return {"violations": 0, "end_s": end_s, "trace_hash": ""}
    from sim.run import simulate

    run = simulate(
        task.topology,
        scenario=task.scenario,
        policy=policy,
        seed=task.seed,
        record="none",
        duration_s=task.duration_s,
        on_note=gathering.on_note,
        on_message=messages.append if MESSAGES in task.keep else None,
    )
    return {"violations": len(run.violations), "end_s": run.ended_s, "trace_hash": run.trace_hash}
