"""The garbage collector looks seldom while a host runs: both worlds' hosts say so for themselves."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS_PER_LOOK = 200_000


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the garbage collector look less often.

    Each look walks all that lives, some ten thousand transactions under load, and finds nothing: the engine makes
    no circles of references. It costs an eighth of the CPU at its usual threshold.
    """
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS_PER_LOOK, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
