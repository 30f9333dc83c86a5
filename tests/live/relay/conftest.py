from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from relay_desk import LOOPS, Desk, opened

from engine.live.relay.settings import PlaneSettings

Scenario = Callable[[Desk], Coroutine[Any, Any, None]]
Play = Callable[..., None]


@pytest.fixture(params=LOOPS)
def native(request: pytest.FixtureRequest) -> bool:
    """Which forwarding loop: both must do the same."""
    return bool(request.param)


@pytest.fixture
def play(native: bool) -> Play:
    """Run a scenario at a desk with a data plane of its own."""

    def run(scenario: Callable[[Desk], Awaitable[None]], **settings: Any) -> None:
        async def whole() -> None:
            with opened(PlaneSettings(native=native, **settings)) as desk:
                await scenario(desk)

        asyncio.run(whole())

    return run
