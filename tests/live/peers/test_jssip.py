"""JsSIP in headless Chromium registers through the live edge over ws and wss, calls, and is called by the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.boundary import Transport
from engine.notes import ConnectionClosed, DialogEnded, RequestResumed
from sim.agents.notes import BindingRemoved
from tests.live.live_machines import in_loop, until
from tests.live.peers.browser import MISSING, registered

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.mark.parametrize("transport", ["ws", "wss"])
def test_it_registers_calls_and_leaves(transport: Transport, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with registered(tmp_path, transport) as (deployment, phone, _):
            phone.order(f"call sip:9196@{deployment.host}")
            await until(lambda: phone.of("confirmed"))
            phone.order("hangup")
            await until(lambda: phone.of("ended") and deployment.of("edge", DialogEnded))
            phone.order("unregister")
            await until(lambda: phone.of("unregistered") and deployment.of("FS1", BindingRemoved))
            assert not phone.of("error") + phone.of("failed") + phone.of("disconnected")

    in_loop(scenario)


@pytest.mark.parametrize("transport", ["ws", "wss"])
def test_the_node_calls_it_and_hangs_up(transport: Transport, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with registered(tmp_path, transport) as (deployment, phone, _):
            deployment.call()
            await until(lambda: phone.of("confirmed") and "out ACK" in deployment.passed("out ACK"))
            deployment.hang_up()
            await until(lambda: phone.of("ended"))
            assert phone.of("ended")[0]["by"] == "remote"
            passed = deployment.passed("out INVITE", "in 200", "out ACK", "out BYE")
            assert passed[:4] == ["out INVITE", "in 200", "out ACK", "out BYE"]

    in_loop(scenario)


@pytest.mark.parametrize("transport", ["ws", "wss"])
def test_a_call_outlives_a_cut_websocket(transport: Transport, tmp_path: Path) -> None:
    """The far side's BYE reaches it on the connection with which it came back."""

    async def scenario() -> None:
        async with registered(tmp_path, transport, relayed=True) as (deployment, phone, relay):
            deployment.call()
            await until(lambda: phone.of("confirmed"))
            relay.cut()
            await until(lambda: phone.of("disconnected") and deployment.of("edge", ConnectionClosed))
            await until(lambda: len(phone.of("registered")) == 2)
            assert not phone.of("ended")
            deployment.hang_up()
            await until(lambda: phone.of("ended"))
            assert phone.of("ended")[0]["by"] == "remote"

    in_loop(scenario)


def test_a_bye_that_comes_while_the_websocket_is_away_waits_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with registered(tmp_path, "wss", relayed=True) as (deployment, phone, relay):
            deployment.call()
            await until(lambda: phone.of("confirmed"))
            relay.cut()
            await until(lambda: deployment.of("edge", ConnectionClosed))
            deployment.hang_up()
            await until(lambda: phone.of("ended"))
            assert len(phone.of("disconnected")) == 1
            assert phone.of("ended")[0]["by"] == "remote"
            assert [note.method for note in deployment.of("edge", RequestResumed)] == ["BYE"]

    in_loop(scenario)


def test_a_call_that_rings_when_the_websocket_is_cut_rings_on_and_is_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with registered(tmp_path, "wss", relayed=True, answers=False) as (deployment, phone, relay):
            deployment.call()
            await until(lambda: "in 180" in deployment.passed("in 180"))
            relay.cut()
            await until(lambda: len(phone.of("incoming")) == 2)
            phone.order("answer")
            await until(lambda: phone.of("confirmed") and "out ACK" in deployment.passed("out ACK"))
            deployment.hang_up()
            await until(lambda: [fact["by"] for fact in phone.of("ended")] == ["remote"])

    in_loop(scenario)


@pytest.mark.parametrize("caller", ["page", "node"])
def test_with_a_gruu_as_its_contact_it_can_be_hung_up_on(caller: str, tmp_path: Path) -> None:
    """JsSIP puts the GRUU that it was given into each Contact, so BYE is for ``user@domain;gr=...``."""

    async def scenario() -> None:
        async with registered(tmp_path, "wss", registrar={"gruu": True}) as (deployment, phone, _):
            if caller == "page":
                phone.order(f"call sip:9196@{deployment.host}")
            else:
                deployment.call()
            await until(lambda: phone.of("confirmed"))
            assert ";gr=urn" in "".join(deployment.contacts("INVITE" if caller == "page" else "200"))
            deployment.hang_up()
            await until(lambda: phone.of("ended"))
            assert phone.of("ended")[0]["by"] == "remote"

    in_loop(scenario)
