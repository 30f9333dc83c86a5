"""The event loop: uvloop where it is installed (far faster per wake-up), asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

from engine.collector import seldom_collected

T = TypeVar("T")


def fast_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's factory, or None (asyncio's default) where it is missing."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, T], *, fast: bool = True) -> T:
    """Run ``main`` to its end in a loop of its own and return what it returns."""
    with seldom_collected(), asyncio.Runner(loop_factory=fast_loop_factory() if fast else None) as runner:
        return runner.run(main)
