"""A recording played to a simulated edge: the same messages, another policy or other timers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from lab.errors import InputError
from lab.experiments.settings import with_settings
from lab.report import Report, report_on
from lab.simulation import run_simulation
from lab.twin.absences import Absence, absences_of, faults_of_absences
from lab.twin.comparison import Comparison, compare, steps_of_messages, steps_of_recording
from lab.twin.outcomes import calls_of
from lab.twin.recording import Recording, read_capture
from lab.twin.roles import Roles
from lab.twin.scripts import scripts_of
from sim.build import PolicyChoice
from topologies import Topology, load
from topologies.base import Table
from topologies.faults import Fault
from topologies.scenarios import Scenario

_SCENARIO = "replay"
_AFTER_S = 1.0

Faults = Literal["recorded", "none"]
"""``recorded``: nodes are away when they were away in the recording."""


@dataclass(frozen=True, slots=True, repr=False)
class Replay:
    """A recording, and what became of it in the simulated deployment.

    Attributes
    ----------
    calls : DataFrame
        One row a call of an agent: what became of it then and now (``recorded_...``, ``replayed_...``).
    report : Report
        Of the simulated run.
    comparison : Comparison
        Message by message; agents are named by their addresses.
    absences : sequence of Absence
        The nodes that were away in the recording.
    left_out : int
        Calls that began before the recording.
    """

    recording: Recording
    calls: pd.DataFrame
    report: Report
    comparison: Comparison
    absences: Sequence[Absence]
    left_out: int

    def figures(self) -> pd.DataFrame:
        """What callers met, then and now: one row a figure."""
        found = {when: _figures(self.calls, when) for when in ("recorded", "replayed")}
        return pd.DataFrame(found)

    def __repr__(self) -> str:
        changed = int((self.calls["recorded_outcome"] != self.calls["replayed_outcome"]).sum())
        return (
            f"<Replay of {self.recording.name}: {len(self.calls)} calls, {changed} end otherwise, "
            f"policy {self.report.outcome.policy}>"
        )

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(repr(self)[1:-1])}</b></p>{self.figures().to_html(border=0)}"


def replay(
    capture: str | Path | Recording,
    topology: Topology | str,
    *,
    policy: PolicyChoice = None,
    settings: Mapping[str, Any] | None = None,
    faults: Faults = "recorded",
    seed: int = 0,
) -> Replay:
    """Play what agents said in a recording to the edges of a topology.

    Agents send the messages that they sent then, byte for byte but for what the far side decides (tags, routes,
    targets, nonces); nodes are modelled, and take each call as it was taken then.

    Parameters
    ----------
    capture : str, path or Recording
        A pcap or pcapng file, or what `lab.twin.recording_of` made of a run.
    topology : Topology or str
        The deployment, with the addresses that the recording has.
    policy : str, class or object, optional
        Of all edges, instead of the topology's.
    settings : mapping, optional
        Values of the topology to replace, by path, as in experiments.
    faults : {"recorded", "none"}
        Whether nodes are away when they were away in the recording.
    seed : int
        Of all randomness.

    Raises
    ------
    InputError
        If there is no SIP in the file, the topology has other addresses, or a setting makes no sense.
    """
    recording = capture if isinstance(capture, Recording) else read_capture(capture)
    read = load(topology) if isinstance(topology, str) else topology
    scenario = read.default_scenario or ""
    read = with_settings(read, settings or {}, scenario)
    if faults not in ("recorded", "none"):
        raise InputError(f"there are no faults {faults!r} - give 'recorded' or 'none'")
    told = scripts_of(recording, read)
    absences = absences_of(recording, read)
    happening: list[Fault] = list(told.originated)
    if faults == "recorded":
        happening += faults_of_absences(absences, read)
    staged = _staged(read, recording, happening)
    outcome = run_simulation(
        staged, scenario=_SCENARIO, policy=policy, seed=seed, messages=True, recorded=told.recorded
    )
    report = report_on(outcome)
    roles = Roles(read)
    steps = steps_of_recording(recording, roles)
    comparison = compare(steps, steps_of_messages(outcome.messages, fates=False), (recording.name, "the replay"))
    calls = calls_of(recording, roles, report.facts)
    return Replay(recording, calls, report, comparison, tuple(absences), told.left_out)


def _staged(topology: Topology, recording: Recording, happening: Sequence[Fault]) -> Topology:
    """The topology with nobody but edges and nodes, and one scenario."""
    lasts_s = recording.duration_s + _AFTER_S
    ordered = tuple(sorted(happening, key=lambda fault: fault.at_s))
    scenario = Scenario(duration_s=lasts_s, faults=ordered, description=f"replay of {recording.name}")
    empty: dict[str, Any] = {"clients": Table(), "nats": Table(), "balancers": Table()}
    return topology.model_copy(update={**empty, "scenarios": Table({_SCENARIO: scenario})})


def _figures(calls: pd.DataFrame, when: str) -> dict[str, Any]:
    outcome, setup_s = calls[f"{when}_outcome"], calls[f"{when}_setup_s"]
    return {
        "calls": len(calls),
        "answered": int((outcome == "answered").sum()),
        "failed": int((outcome == "failed").sum()),
        "gave up": int((outcome == "gave up").sum()),
        "open at the end": int((outcome == "open").sum()),
        "failed over": int((calls[f"{when}_attempts"] > 1).sum()),
        "set-up p50 (s)": setup_s.median(),
        "set-up p99 (s)": setup_s.quantile(0.99),
    }
