"""Real time from a notebook: its kernel has an event loop that runs already."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from engine.live.loops import run

T = TypeVar("T")


def run_apart(main: Coroutine[Any, Any, T]) -> T:
    """Run it to its end in an event loop of its own; in a thread where this one has a loop, as Jupyter's have."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run(main)
    with ThreadPoolExecutor(1, "rehearsal") as thread:
        return thread.submit(run, main).result()
