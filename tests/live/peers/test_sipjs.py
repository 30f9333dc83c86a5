"""SIP.js in headless Chromium: another library with habits of its own, and random ``.invalid`` Contacts."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.boundary import Transport
from engine.notes import ConnectionClosed, DialogEnded
from sim.agents.notes import BindingRemoved
from tests.live.live_machines import in_loop, until
from tests.live.peers.browser import MISSING, registered

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def test_it_registers_calls_and_leaves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with registered(tmp_path, "wss", library="sipjs") as (deployment, phone, _):
            phone.order(f"call sip:9196@{deployment.host}")
            await until(lambda: phone.of("confirmed"))
            phone.order("hangup")
            await until(lambda: phone.of("ended") and deployment.of("edge", DialogEnded))
            phone.order("unregister")
            await until(lambda: phone.of("unregistered") and deployment.of("FS1", BindingRemoved))
            assert not phone.of("error") + phone.of("disconnected")

    in_loop(scenario)


@pytest.mark.parametrize("transport", ["ws", "wss"])
def test_a_call_from_the_node_outlives_a_cut_websocket(transport: Transport, tmp_path: Path) -> None:
    """The far side's BYE reaches it on the connection with which it came back."""

    async def scenario() -> None:
        async with registered(tmp_path, transport, library="sipjs", relayed=True) as (deployment, phone, relay):
            deployment.call()
            await until(lambda: phone.of("confirmed"))
            assert ".invalid" in phone.of("incoming")[0]["uri"]
            relay.cut()
            await until(lambda: phone.of("disconnected") and deployment.of("edge", ConnectionClosed))
            await until(lambda: len(phone.of("registered")) == 2)
            assert not phone.of("ended")
            deployment.hang_up()
            await until(lambda: phone.of("ended"))
            assert phone.of("ended")[0]["by"] == "remote"

    in_loop(scenario)
