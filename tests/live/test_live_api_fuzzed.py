"""The API fuzzed from its own OpenAPI document: it keeps to the document, and nothing is a fault of ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from live_machines import udp_peer

from engine.live.api.openapi import document
from engine.live.notes import MachineFailed
from tests.live.deployed import TOKEN, Deployed, deployed

# A capture lasts as long as it is asked to: test_live_capture looks at it.
SCHEMA = schemathesis.openapi.from_dict(document()).exclude(operation_id="capture")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A deployment in a loop and thread of its own, with a call and a user to ask for."""
    ready: Future[Deployed] = Future()
    over = threading.Event()

    async def live() -> None:
        async with deployed(tmp_path_factory.mktemp("api"), phone=True) as place:
            with udp_peer() as caller:
                await place.call(caller, "one")
            ready.set_result(place)
            await asyncio.to_thread(over.wait)

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ready.result(timeout=20)
    finally:
        over.set()
        thread.join(timeout=20)


@SCHEMA.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_as_documented(case: schemathesis.Case, place: Deployed) -> None:
    case.call_and_validate(base_url=place.url, headers={"Authorization": f"Bearer {TOKEN}"})
    assert place.world.of(MachineFailed) == []
