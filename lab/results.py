"""A run as data frames: a row for each call, attempt, decision and node state; units in the names of columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_type_hints

import pandas as pd

from lab.facts import Attempt, Call, Decision, Event, Facts, Hearing, NodeState, RelayedSide
from lab.ladder import message_label
from lab.reach import Ping, Registration
from lab.watch import call_id_of
from sim.trace import MessageRecord

FrameFormat: TypeAlias = Literal["csv", "parquet"]

_DTYPES: Final[Mapping[Any, str]] = {
    int: "int64",
    float: "float64",
    bool: "bool",
    float | None: "float64",
    int | None: "Int64",  # pandas' own integers cannot be missing
}


@dataclass(frozen=True, slots=True, repr=False)
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
    events : DataFrame
        One row for each fault and each order.
    registrations : DataFrame
        One row for each time in which an agent was reachable, unreachable or logged off, and why.
    pings : DataFrame
        One row for each OPTIONS of a node to a registered user.
    media : DataFrame
        One row for each speaker in each agent's ears: from when on, packets, losses, gaps, MOS (simulation only).
    relayed : DataFrame
        One row for each side of each relayed call, as the relay of the edge heard it.
    """

    calls: pd.DataFrame
    attempts: pd.DataFrame
    decisions: pd.DataFrame
    node_states: pd.DataFrame
    events: pd.DataFrame
    registrations: pd.DataFrame
    pings: pd.DataFrame
    media: pd.DataFrame
    relayed: pd.DataFrame

    def __repr__(self) -> str:
        told = ", ".join(f"{each.name} {len(getattr(self, each.name)):,}" for each in fields(self))
        return f"<Frames, rows of each: {told}>"


def to_frames(facts: Facts) -> Frames:
    """The facts of a run as data frames; times are seconds from its start.

    Examples
    --------
    >>> from lab.facts import Facts
    >>> list(to_frames(Facts()).node_states)
    ['time_s', 'edge', 'node', 'before', 'after', 'why']
    """
    calls = frame_of(facts.calls, Call)
    calls["failed_over"] = pd.Series([call.failed_over for call in facts.calls], dtype="bool")
    calls["cut_off"] = pd.Series([call.cut_off for call in facts.calls], dtype="bool")
    return Frames(
        calls=calls,
        attempts=frame_of(facts.attempts, Attempt),
        decisions=frame_of(facts.decisions, Decision),
        node_states=frame_of(facts.node_states, NodeState),
        events=frame_of(facts.events, Event),
        registrations=frame_of(facts.registrations, Registration),
        pings=frame_of(facts.pings, Ping),
        media=frame_of(facts.media, Hearing),
        relayed=frame_of(facts.relayed, RelayedSide),
    )


@dataclass(slots=True)
class _Message:
    """A row of the table of messages."""

    time_s: float
    sent_s: float
    from_place: str
    to_place: str
    transport: str
    call_id: str
    message: str
    fate: str
    size_bytes: int


def messages_frame(records: Iterable[MessageRecord]) -> pd.DataFrame:
    """All messages of a run, in the order in which they were sent.

    Returns
    -------
    DataFrame
        ``sent_s`` and ``time_s`` (when its ``fate`` was settled), ``from_place``, ``to_place``, ``transport``,
        ``call_id``, ``message`` (INVITE, 200 OK (BYE), ...), ``fate``, ``size_bytes``.
    """
    ordered = sorted(records, key=lambda record: record.order)
    rows = (
        _Message(
            each.time_s,
            each.sent_s,
            each.from_place,
            each.to_place,
            each.transport,
            call_id_of(each.data) or "",
            message_label(each.data),
            each.fate,
            len(each.data),
        )
        for each in ordered
    )
    return frame_of(rows, _Message)


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


def frame_of(rows: Iterable[Any], kind: type[Any]) -> pd.DataFrame:
    """Rows of a dataclass as a data frame; a column's type follows from its field's, so that no row is enough."""
    listed = list(rows)
    dtypes = {name: _DTYPES.get(hint, "str") for name, hint in get_type_hints(kind).items()}
    columns = {
        each.name: pd.Series([getattr(row, each.name) for row in listed], dtype=dtypes[each.name])
        for each in fields(kind)
    }
    return pd.DataFrame(columns)
