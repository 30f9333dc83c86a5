"""Captures of a running edge: as pcap over the API, as HEP to a collector, and from secure connections."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_machines import Echo, in_loop, interface, receive, started, udp_peer, until
from websocket_peers import agent

from engine.live import LiveError
from engine.live.capture import Capture, HomerSender, Packet, Wanted
from tests.live.capture import read
from tests.live.capture.test_capture_messages import INVITE
from tests.live.deployed import deployed


def test_a_users_call_is_streamed_as_pcap_while_it_is_set_up(tmp_path: Path, fast: bool) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            reading = asyncio.create_task(
                asyncio.to_thread(
                    lambda: b"".join(place.client.stream("v1", "captures", user="alice", seconds=1.5))
                )
            )
            await until(lambda: not place.world.host.tap.idle)
            with udp_peer() as caller:
                await place.call(caller, "one")
                source = caller.getsockname()
            seen = read.pcap(await reading)
            edge, node = place.world.address, place.node.address
            starts = [(each.source, each.destination, each.data.split(b" ")[0]) for each in seen]
            assert (source, edge, b"INVITE") in starts
            assert ((edge[0], place.world.host.interface("in").port), node, b"INVITE") in starts
            assert (edge, source, b"SIP/2.0") in starts
            assert place.world.host.tap.idle

    in_loop(scenario, fast=fast)


def test_a_capture_ends_when_its_reader_goes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            reading = place.client.stream("v1", "captures", user="nobody", seconds=3600)
            await asyncio.to_thread(next, reading)
            assert not place.world.host.tap.idle
            await asyncio.to_thread(reading.close)
            await until(lambda: place.world.host.tap.idle)

    in_loop(scenario)


def test_a_call_is_sent_to_homer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            with udp_peer() as collector, udp_peer() as caller:
                with pytest.raises(LiveError, match="give the edge homer"):
                    await place.post("v1", "captures", body={"call_id": "one"})
                place.server.service.collector = sender = HomerSender(collector.getsockname(), 7)
                assert (
                    "Homer" in (await place.post("v1", "captures", body={"call_id": "one", "seconds": 60}))["what"]
                )
                await place.call(caller, "one")
                chunks = read.hep(await receive(collector))
                assert (chunks[15].split(b" ")[0], chunks[17], chunks[12]) == (b"INVITE", b"one", b"\0\0\0\7")
                assert sender.sent >= 4
                sender.close()

    in_loop(scenario)


def test_what_is_sent_to_homer_by_order_ends_by_order_or_in_time(tmp_path: Path) -> None:
    """The topology's own capture goes on."""

    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            service, tap = place.server.service, place.world.host.tap
            with udp_peer() as collector:
                service.collector = sender = HomerSender(collector.getsockname(), 7)
                own = Capture(Wanted(everything=True), sender)
                tap.add(own)
                for _ in range(7):
                    await place.post("v1", "captures", body={"user": "1000", "seconds": 86_400})
                with pytest.raises(LiveError, match="captures are under way"):
                    await place.post("v1", "captures", body={"user": "1000", "seconds": 60})
                assert (await place.delete("v1", "captures"))["what"] == "7 captures ended"
                assert not tap.idle
                tap.remove(own)
                assert tap.idle
                await place.post("v1", "captures", body={"user": "1000", "seconds": 0.01})
                await until(lambda: tap.idle)
                assert (await place.delete("v1", "captures"))["what"] == "0 captures ended"
                sender.close()

    in_loop(scenario)


@pytest.mark.parametrize("query", [{}, {"call_id": "a", "user": "b"}])
def test_a_capture_names_a_call_or_a_user(tmp_path: Path, query: dict[str, str]) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            with pytest.raises(LiveError, match="name a call_id or a user, one of the two"):
                await asyncio.to_thread(lambda: list(place.client.stream("v1", "captures", **query)))

    in_loop(scenario)


def test_what_comes_in_a_websocket_is_caught_without_its_frames() -> None:
    async def scenario() -> None:
        packets: list[Packet] = []
        world = await started(Echo(), interface("ws"))
        world.host.tap.add(Capture(Wanted(call_ids=("call@1",)), packets.append))
        async with agent(world) as browser:
            await browser.send_str(INVITE.decode())
            await until(lambda: len(packets) == 2)  # it comes, and the machine echoes it
        assert [packet.data for packet in packets] == [INVITE, INVITE]
        assert packets[0].source == packets[1].destination
        await world.host.stop()

    in_loop(scenario)
