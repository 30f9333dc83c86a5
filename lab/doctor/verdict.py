"""What became of one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["green", "red", "skipped"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One step of the ladder.

    Attributes
    ----------
    step : str
        What was tried.
    outcome : str
        green, red, or skipped: what it stands on failed.
    told : str
        What was seen, in the words of SIP and SDP.
    cause : str
        Why it is red, as a short name that scripts can rely on; empty where it isn't.
    why : str
        The cause in words.
    remedy : str
        What to do.
    """

    step: str
    outcome: Outcome
    told: str = ""
    cause: str = ""
    why: str = ""
    remedy: str = ""
