"""The call-flow ladder of one call: who sent what to whom, and when. As text here, as a picture in `lab.plots`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.sip.errors import SipError
from engine.sip.framing import parse_datagram
from engine.sip.message import Request
from sim.trace import Fate, MessageRecord

_COLUMN: Final = 24
_TIME: Final = 10
GAP_S: Final = 1.0
"""A pause between two messages that is worth a mark."""

LOST: Final[frozenset[Fate]] = frozenset(("lost", "partitioned", "unreachable", "overflowed"))


@dataclass(frozen=True, slots=True)
class Step:
    """One message. Times are in seconds from the call's first message; ``repeated``: a retransmission."""

    sent_s: float
    settled_s: float
    sender: str
    receiver: str
    label: str
    fate: Fate
    repeated: bool

    @property
    def arrived(self) -> bool:
        return self.fate not in LOST


@dataclass(frozen=True, slots=True, repr=False)
class Ladder:
    """A call as steps between places, left to right in the order in which they came in."""

    title: str
    places: tuple[str, ...]
    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_png_(self) -> bytes:
        from lab.plots.ladder import draw_ladder
        from lab.plots.style import as_png

        return as_png(draw_ladder(self))


def build_ladder(messages: Iterable[MessageRecord], title: str = "") -> Ladder:
    """The ladder of the messages of one call.

    Parameters
    ----------
    messages : iterable of MessageRecord
        In the order in which they were sent.
    """
    steps: list[Step] = []
    seen: set[tuple[str, bytes]] = set()
    began_s: float | None = None
    for record in messages:
        began_s = record.sent_s if began_s is None else began_s
        receiver = record.to_place or f"{record.destination[0]}:{record.destination[1]}"
        key = (record.from_place, record.data)
        steps.append(
            Step(
                sent_s=record.sent_s - began_s,
                settled_s=record.time_s - began_s,
                sender=record.from_place,
                receiver=receiver,
                label=message_label(record.data),
                fate=record.fate,
                repeated=key in seen,
            )
        )
        seen.add(key)
    places = dict.fromkeys(place for step in steps for place in (step.sender, step.receiver))
    return Ladder(title, tuple(places), tuple(steps))


def message_label(data: bytes) -> str:
    """What an engineer calls a message: ``INVITE``, ``180 Ringing``, ``200 OK (BYE)``."""
    try:
        message = parse_datagram(data)
        if message is None:
            return "keep-alive"
        if isinstance(message, Request):
            return message.method.decode("ascii", "replace")
        label = f"{message.status} {message.reason.decode('utf-8', 'replace')}".strip()
        method = message.cseq.method.decode("ascii", "replace")
    except SipError:
        return "unreadable"
    return label if method == "INVITE" else f"{label} ({method})"


def as_text(ladder: Ladder) -> str:
    """The ladder in characters.

    An arrow that ends in ``X`` did not arrive; ``*`` marks a retransmission.
    """
    column = {place: index for index, place in enumerate(ladder.places)}
    lines = [ladder.title, ""] if ladder.title else []
    lines.append(" " * _TIME + "".join(place.center(_COLUMN) for place in ladder.places).rstrip())
    before_s = 0.0
    for step in ladder.steps:
        if step.sent_s - before_s >= GAP_S:
            lines.append(" " * _TIME + "".join(":".center(_COLUMN) for _ in ladder.places).rstrip())
        before_s = step.sent_s
        lines.append(_text_line(step, column, len(ladder.places)))
    lines += ["", "seconds from the first message; X: did not arrive; *: retransmission"]
    return "\n".join(lines) + "\n"


def _text_line(step: Step, column: dict[str, int], columns: int) -> str:
    line = list("".join("|".center(_COLUMN) for _ in range(columns)))
    centre = "|".center(_COLUMN).index("|")
    start = column[step.sender] * _COLUMN + centre
    end = column[step.receiver] * _COLUMN + centre
    left, right = min(start, end), max(start, end)
    if right > left:
        label = (step.label + (" *" if step.repeated else ""))[: right - left - 6]
        line[left + 1 : right] = f" {label} ".center(right - left - 1, "-")
        head = ("X" if not step.arrived else ">") if end > start else ("X" if not step.arrived else "<")
        line[right - 1 if end > start else left + 1] = head
    return f"{step.sent_s:{_TIME - 2}.4f}  " + "".join(line).rstrip()


def span_s(steps: Sequence[Step]) -> float:
    """From the first message to the last, in seconds."""
    return steps[-1].sent_s - steps[0].sent_s if steps else 0.0
