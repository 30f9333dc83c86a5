"""A run as data frames: a row for each call, attempt, decision and node state; units in the names of columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pandas as pd

from lab.facts import Attempt, Call, Decision, Facts, NodeState

FrameFormat: TypeAlias = Literal["csv", "parquet"]

_OPTIONAL_INTEGERS = ("status", "first_status")  # pandas' own integers cannot be missing


@dataclass(frozen=True, slots=True)
class Frames:
    """The tables of a run.

    Attributes
    ----------
    calls : DataFrame
        One row a call, by its Call-ID: what its caller saw, and which edge and node carried it.
    attempts : DataFrame
        One row for each time that a request was sent to a node.
    decisions : DataFrame
        One row for each choice of a node, with the reasons against the others.
    node_states : DataFrame
        One row for each change of a node's state, by the edge that saw it.
    """

    calls: pd.DataFrame
    attempts: pd.DataFrame
    decisions: pd.DataFrame
    node_states: pd.DataFrame


def to_frames(facts: Facts) -> Frames:
    """The facts of a run as data frames; times are seconds from its start.

    Examples
    --------
    >>> from lab.facts import Facts
    >>> list(to_frames(Facts()).node_states)
    ['time_s', 'edge', 'node', 'before', 'after', 'why']
    """
    calls = _frame(facts.calls, Call)
    calls["failed_over"] = [call.failed_over for call in facts.calls]
    calls["cut_off"] = [call.cut_off for call in facts.calls]
    return Frames(
        calls=calls,
        attempts=_frame(facts.attempts, Attempt),
        decisions=_frame(facts.decisions, Decision),
        node_states=_frame(facts.node_states, NodeState),
    )


def write_frames(frames: Frames, directory: Path, form: FrameFormat) -> list[Path]:
    """Write each frame to a file of its name, and return the files."""
    written = []
    for each in fields(frames):
        frame: pd.DataFrame = getattr(frames, each.name)
        path = directory / f"{each.name}.{form}"
        if form == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        written.append(path)
    return written


def _frame(rows: Iterable[Any], kind: type[Any]) -> pd.DataFrame:
    listed = list(rows)
    columns = {each.name: [getattr(row, each.name) for row in listed] for each in fields(kind)}
    frame = pd.DataFrame(columns)
    for name in frame.columns:
        if name in _OPTIONAL_INTEGERS:
            frame[name] = frame[name].astype("Int64")
        elif name.endswith("_s"):
            frame[name] = frame[name].astype("float64")
    return frame
