"""What became of one step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

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


class Verdicts(list[Verdict]):
    """All steps, in order; in a notebook a table."""

    @property
    def frame(self) -> pd.DataFrame:
        """One row a step, with the attributes of `Verdict` as columns."""
        import pandas as pd

        columns = [each.name for each in fields(Verdict)]
        return pd.DataFrame([[getattr(each, name) for name in columns] for each in self], columns=columns)

    def __repr__(self) -> str:
        counted = Counter(each.outcome for each in self)
        red = "".join(f"; {each.step}: {each.cause}" for each in self if each.outcome == "red")
        return f"<Verdicts: {', '.join(f'{count} {outcome}' for outcome, count in counted.items())}{red}>"

    def _repr_html_(self) -> str:
        return self.frame.drop(columns="cause").to_html(index=False, border=0)
