"""Two stories of the same calls, message by message: what both have, what only one has, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import pandas as pd

from lab.ladder import LOST, message_label
from lab.twin.recording import Recording, is_sip
from lab.twin.roles import Roles
from lab.watch import call_id_of
from sim.checkers.reading import cseq_of
from sim.trace import MessageRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Verdict = Literal["same", "missing", "extra"]
"""``missing``: only the first story has the message; ``extra``: only the second one."""

_LEFT_OUT: Final = (b"OPTIONS",)  # probes and pings tell nothing of calls, and their Call-IDs are random
_ROWS_SHOWN: Final = 12


class Step(NamedTuple):
    """A message of a story; ``label`` is what an engineer calls it, ``in vain`` where it did not arrive."""

    time_s: float
    from_place: str
    to_place: str
    call_id: str
    label: str


Way = tuple[str, str, str]
"""Call-ID, and from where to where."""


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    steps : DataFrame
        One row a message: ``call_id``, ``from_place``, ``to_place``, ``message``, ``verdict`` (same, missing,
        extra), ``one_s`` and ``other_s`` (when it was sent in either story), ``later_s`` (in the other one).
    one, other : str
        The stories' names.
    """

    steps: pd.DataFrame
    one: str
    other: str

    @property
    def same_share(self) -> float:
        """The share of messages that both stories have, 0 to 1; NaN where there are none."""
        return float((self.steps["verdict"] == "same").mean())

    @property
    def calls(self) -> pd.DataFrame:
        """One row a call: ``call_id``, ``same``, ``missing``, ``extra``, ``latest_s`` (the most in time)."""
        counted = self.steps.pivot_table(
            index="call_id", columns="verdict", values="message", aggfunc="count", fill_value=0, sort=False
        ).reindex(columns=["same", "missing", "extra"], fill_value=0)
        latest = self.steps.groupby("call_id", sort=False)["later_s"].agg(lambda column: column.abs().max())
        return counted.assign(latest_s=latest).rename_axis(columns=None).reset_index()

    def differing(self) -> pd.DataFrame:
        """The messages that only one story has."""
        return self.steps[self.steps["verdict"] != "same"].reset_index(drop=True)

    def draw(self) -> Figure:
        """How far apart in time the common messages are."""
        from lab.plots.twin import draw_comparison_in_time

        return draw_comparison_in_time(self)

    def __repr__(self) -> str:
        return f"<Comparison: {self._headline()}>"

    def _repr_html_(self) -> str:
        odd = self.differing()
        parts = [f"<p><b>{escape(self._headline())}</b></p>"]
        if len(odd):
            parts.append(odd.head(_ROWS_SHOWN).to_html(index=False, border=0))
        return "".join(parts)

    def _headline(self) -> str:
        if self.steps.empty:
            return f"{self.one} and {self.other} have no message of a call"
        same = self.steps[self.steps["verdict"] == "same"]
        apart_ms = 1000 * same["later_s"].abs()
        times = (
            f", {apart_ms.median():.1f} ms apart in the median, {apart_ms.max():.0f} at most" if len(same) else ""
        )
        return (
            f"{self.one} and {self.other}: {len(same):,} of {len(self.steps):,} messages of "
            f"{self.steps['call_id'].nunique():,} calls are the same{times}"
        )


def compare(one: Sequence[Step], other: Sequence[Step], names: tuple[str, str] = ("one", "other")) -> Comparison:
    """Hold two stories against each other: per call, and per way from one place to another, in order.

    Repeated messages count once. Where a call has another Call-ID in the other story (that of a node's own leg),
    it is found by where and with what it began, in the order of time.

    Examples
    --------
    >>> told = [Step(0.0, "a", "b", "1", "INVITE"), Step(0.1, "b", "a", "1", "200 OK")]
    >>> compare(told, [told[0], Step(0.2, "b", "a", "1", "503 Service Unavailable")]).steps["verdict"].tolist()
    ['same', 'missing', 'extra']
    """
    ours, theirs = _ways(one), _ways(_renamed(one, other))
    rows = []
    for way in dict.fromkeys((*ours, *theirs)):
        rows += _aligned(way, ours.get(way, []), theirs.get(way, []))
    columns = ["call_id", "from_place", "to_place", "message", "verdict", "one_s", "other_s"]
    frame = pd.DataFrame(rows, columns=columns).astype({"one_s": "float64", "other_s": "float64"})
    frame["later_s"] = frame["other_s"] - frame["one_s"]
    order = frame["one_s"].fillna(frame["other_s"])
    began = order.groupby(frame["call_id"]).transform("min")
    frame = frame.assign(began=began, order=order).sort_values(["began", "call_id", "order"], kind="stable")
    return Comparison(frame.drop(columns=["began", "order"]).reset_index(drop=True), *names)


def steps_of_messages(messages: Iterable[MessageRecord], *, fates: bool = True) -> list[Step]:
    """The story that the messages of a simulation or a rehearsal tell.

    Parameters
    ----------
    messages : iterable of MessageRecord
        In any order.
    fates : bool
        Whether what did not arrive is another message than what did. A capture does not know.
    """
    ordered = sorted(messages, key=lambda message: (message.sent_s, message.order))
    return _first_times(
        (m.sent_s, m.from_place, m.to_place, m.data, fates and m.fate in LOST) for m in ordered if is_sip(m.data)
    )


def steps_of_recording(recording: Recording, roles: Roles) -> list[Step]:
    """The story that a recording tells of the edges; agents are named by their addresses."""
    return _first_times(
        (heard.time_s, roles.place(heard.source), roles.place(heard.destination), heard.data, False)
        for heard in recording.messages
        if "edge" in (roles.role(heard.source), roles.role(heard.destination))
    )


def _first_times(told: Iterable[tuple[float, str, str, bytes, bool]]) -> list[Step]:
    seen: set[tuple[str, str, bytes]] = set()
    steps = []
    for time_s, from_place, to_place, data, lost in told:
        key = (from_place, to_place, data)
        call_id = call_id_of(data)
        if key in seen or call_id is None or cseq_of(data)[1] in _LEFT_OUT:
            continue
        seen.add(key)
        label = message_label(data)
        steps.append(Step(time_s, from_place, to_place, call_id, f"{label} in vain" if lost else label))
    return steps


def _ways(steps: Iterable[Step]) -> dict[Way, list[Step]]:
    found: dict[Way, list[Step]] = {}
    for step in steps:
        found.setdefault((step.call_id, step.from_place, step.to_place), []).append(step)
    return found


def _renamed(one: Sequence[Step], other: Sequence[Step]) -> list[Step]:
    """The other story, with the Call-IDs of the first one where its own are unknown there."""
    ours, theirs = _beginnings(one), _beginnings(other)
    free: dict[tuple[str, str, str], list[str]] = {}
    for call_id, how in ours.items():
        if call_id not in theirs:
            free.setdefault(how, []).append(call_id)
    names = {}
    for call_id, how in theirs.items():
        if call_id not in ours and free.get(how):
            names[call_id] = free[how].pop(0)
    return [step._replace(call_id=names.get(step.call_id, step.call_id)) for step in other]


def _beginnings(steps: Iterable[Step]) -> dict[str, tuple[str, str, str]]:
    found: dict[str, tuple[str, str, str]] = {}
    for step in steps:
        found.setdefault(step.call_id, (step.label, step.from_place, step.to_place))
    return found


def _aligned(way: Way, ours: Sequence[Step], theirs: Sequence[Step]) -> list[tuple[object, ...]]:
    matcher = SequenceMatcher(None, [s.label for s in ours], [s.label for s in theirs], autojunk=False)
    rows: list[tuple[object, ...]] = []
    for kind, from_1, to_1, from_2, to_2 in matcher.get_opcodes():
        if kind == "equal":
            rows += [
                (*way, mine.label, "same", mine.time_s, yours.time_s)
                for mine, yours in zip(ours[from_1:to_1], theirs[from_2:to_2], strict=True)
            ]
        else:
            rows += [(*way, step.label, "missing", step.time_s, None) for step in ours[from_1:to_1]]
            rows += [(*way, step.label, "extra", None, step.time_s) for step in theirs[from_2:to_2]]
    return rows
