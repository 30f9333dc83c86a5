"""JsSIP in headless Chromium registers through the live edge over ws and wss, and talks to the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.boundary import Transport
from engine.notes import ConnectionClosed, DialogEnded
from sim.agents.notes import BindingRemoved, BindingStored
from tests.live.live_machines import in_loop, until
from tests.live.peers.browser import MISSING, browser
from tests.live.peers.deployment import Deployment

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

START_S = 15.0  # of a browser, on a busy machine


@pytest.mark.parametrize("transport", ["ws", "wss"])
def test_it_registers_calls_and_leaves(transport: Transport, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Deployment.open(tmp_path, transport) as deployment:
            async with browser(tmp_path, deployment) as phone:
                await until(lambda: phone.of("registered"), START_S)
                assert len(deployment.of("FS1", BindingStored)) == 1
                phone.order(f"call sip:9196@{deployment.host}")
                await until(lambda: phone.of("confirmed"))
                phone.order("hangup")
                await until(lambda: phone.of("ended") and deployment.of("edge", DialogEnded))
                phone.order("unregister")
                await until(lambda: phone.of("unregistered") and deployment.of("FS1", BindingRemoved))
                assert not phone.of("error") + phone.of("failed") + phone.of("disconnected")
            await until(lambda: deployment.of("edge", ConnectionClosed))

    in_loop(scenario)
