"""How far an experiment is: a bar in a terminal or in a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

Tell: TypeAlias = "Callable[[int, int], None]"
"""Takes how many runs have ended, and of how many."""


@contextmanager
def progress_bar(what: str, *, shown: bool) -> Iterator[Tell]:
    """A bar that goes when the experiment has ended."""
    if not shown:
        yield lambda _done, _total: None
    elif in_notebook():
        yield from _notebook(what)
    else:
        yield from _terminal(what)


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _terminal(what: str) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _notebook(what: str) -> Iterator[Tell]:
    shown: Any = import_module("IPython.display")
    handle = shown.display(shown.HTML(""), display_id=True)

    def tell(done: int, total: int) -> None:
        handle.update(
            shown.HTML(f'<progress value="{done}" max="{total}"></progress> {what}: {done} of {total} runs')
        )

    try:
        yield tell
    finally:
        handle.update(shown.HTML(""))
