"""What is wrong with a topology, told so that its author can mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Where in a topology: the keys and list positions that lead there, for example ``("nodes", "FS1", "port")``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    where: Path
    what: str
    remedy: str
    line: int | None = None

    @property
    def place(self) -> str:
        """``where`` as text: ``nodes.FS1.port``, ``links[2].between``."""
        shown = (
            f"[{part}]" if isinstance(part, int) else f".{part if part.isprintable() else repr(part)}"
            for part in self.where
        )
        return "".join(shown).removeprefix(".")

    def __str__(self) -> str:
        place = f"{self.place}: " if self.where else ""
        return " ".join(f"{place}{self.what} - {self.remedy}".split())  # one line, whatever a key held


class TopologyError(Exception):
    """A topology that cannot be used. ``str()`` is one line a problem: ``file:line: what is wrong - remedy``.

    Attributes
    ----------
    source : str
        The file, as the user named it.
    problems : tuple of Problem
        Everything that is wrong, in the order of the file.
    """

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__(source, self.problems)

    def __str__(self) -> str:
        return "\n".join(
            f"{self.source}:{problem.line}: {problem}" if problem.line else f"{self.source}: {problem}"
            for problem in self.problems
        )

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython asks): the lines, for the way that led here mends nothing."""
        return str(self).splitlines()


class RefusedError(ValueError):
    """Raised by validators of single values: what is wrong, and the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} - {remedy}")
        self.what = what
        self.remedy = remedy


class ContradictionError(ValueError):
    """Raised by the cross-checks of a whole topology: values that are fine alone and do not fit together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def listing(names: Iterable[str], *, at_most: int = 12) -> str:
    """``a, b, c``, cut short where there are many."""
    known = list(names)
    rest = f" and {len(known) - at_most} more" if len(known) > at_most else ""
    return ", ".join(known[:at_most]) + rest if known else "none"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """The remedy for a name that does not exist."""
    names = list(known)
    folded = {name.casefold(): name for name in names}
    close = get_close_matches(wrong, names, n=1, cutoff=0.5) or [
        folded[match] for match in get_close_matches(wrong.casefold(), folded, n=1, cutoff=0.5)
    ]
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {listing(names)}" if names else "define one first, there is none yet"
