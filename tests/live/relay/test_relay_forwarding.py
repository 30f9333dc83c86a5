"""Plain packets on real sockets: forwarded by rule, and by nothing else."""

from __future__ import annotations

import asyncio
import random

import pytest
from conftest import Play
from relay_desk import FAR, NEAR, PCMU, Desk, Phone, opened, second, until

from engine.live.relay.settings import PlaneSettings
from engine.media.codecs import PayloadRule
from engine.media.rules import (
    AddRule,
    BindPorts,
    ChangeRule,
    MediaPacket,
    MediaStats,
    PortsFailed,
    ReleasePorts,
    RemoveRule,
    SendMedia,
    Way,
)

RECEIVER_REPORT = bytes.fromhex("80c90001 00000001".replace(" ", ""))


def test_packets_go_both_ways_from_the_ports_that_each_side_was_told(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        there, back = desk.near.rtp(), desk.far.rtp()
        desk.near.send(there, desk.address(NEAR))
        assert await desk.far.receive_from() == (there, desk.address(FAR))
        desk.far.send(back, desk.address(FAR))
        assert await desk.near.receive_from() == (back, desk.address(NEAR))

    play(scenario)


def test_after_the_lock_nothing_of_a_stranger_is_delivered(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        stranger = Phone()
        await desk.flood(stranger, NEAR, [stranger.rtp(b"injected") for _ in range(500)])
        await desk.passes()
        assert not any(b"injected" in data for data in desk.far.waiting())
        packets = await desk.told(MediaPacket)
        assert {packet.source for packet in packets} == {stranger.address}
        assert not any(packet.proven for packet in packets)
        desk.plane.carry_out(ReleasePorts(NEAR))
        (stats,) = await desk.told(MediaStats)
        assert stats.dropped == 500

    play(scenario)


def test_of_a_flood_the_engine_gets_a_share_and_the_rest_is_counted(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        stranger = Phone()
        await desk.flood(stranger, NEAR, [stranger.rtp() for _ in range(2_000)])
        assert 50 <= len(await desk.told(MediaPacket, 50)) < 1_000
        assert desk.plane.stats().unqueued > 1_000

    play(scenario)


def test_a_flooding_stranger_does_not_keep_others_from_the_engine(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        flooder = Phone()
        others = [Phone() for _ in range(16)]
        await desk.flood(flooder, NEAR, [flooder.rtp() for _ in range(300)])
        for phone in others:
            await desk.flood(phone, NEAR, [phone.rtp()])
        heard = {packet.source for packet in await desk.told(MediaPacket, 51)}
        assert len(heard & {phone.address for phone in others}) >= 8

    play(scenario)


def test_a_port_without_a_rule_gives_all_to_the_engine(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        data = desk.near.rtp()
        desk.near.send(data, desk.address(NEAR))
        assert await desk.told(MediaPacket) == [MediaPacket(NEAR, desk.near.address, data)]
        desk.plane.carry_out(AddRule(NEAR, desk.rule(NEAR, desk.near, desk.far)))
        await desk.passes()
        desk.plane.carry_out(RemoveRule(NEAR))
        desk.near.send(data, desk.address(NEAR))
        await desk.told(MediaPacket, 2)

    play(scenario)


def test_stun_goes_to_the_engine_from_anyone_and_its_answer_leaves_by_the_port(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        check = bytes.fromhex("000100002112a442") + bytes(12)
        desk.near.send(check, desk.address(NEAR))
        assert (await desk.told(MediaPacket))[0].data == check
        desk.plane.carry_out(SendMedia(NEAR, desk.near.address, b"answer"))
        assert await desk.near.receive_from() == (b"answer", desk.address(NEAR))

    play(scenario)


def test_a_payload_type_is_moved_and_the_rest_of_the_packet_stays(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect({101: PayloadRule(126, 8_000, 8_000), **PCMU})
        data = desk.near.rtp(b"digit", number=101, marker=True)
        desk.near.send(data, desk.address(NEAR))
        assert await desk.far.receive() == data[:1] + bytes((126 | 0x80,)) + data[2:]

    play(scenario)


def test_a_payload_type_that_was_not_agreed_is_dropped_and_counted(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.near.send(desk.near.rtp(number=9), desk.address(NEAR))
        await desk.passes()
        assert desk.far.waiting() == []
        desk.plane.carry_out(ReleasePorts(NEAR))
        (stats,) = await desk.told(MediaStats)
        assert (stats.packets, stats.dropped) == (2, 1)

    play(scenario)


def test_without_a_table_of_payloads_all_pass_as_they_are(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect(None)
        for number in (0, 77, 127):
            data = desk.near.rtp(b"v" * 1_200, number=number, marker=True)
            desk.near.send(data, desk.address(NEAR))
            assert await desk.far.receive() == data

    play(scenario)


def test_markers_on_every_packet_are_cleared_but_for_the_first(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        markers = []
        for marker in (True, True, True, False, True):
            desk.near.send(desk.near.rtp(marker=marker), desk.address(NEAR))
            markers.append((await desk.far.receive())[1] & 0x80 != 0)
        assert markers == [True, False, False, False, True]

    play(scenario)


def test_on_hold_packets_are_counted_and_go_nowhere(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        held = desk.rule(NEAR, desk.near, None)
        desk.plane.carry_out(ChangeRule(NEAR, held))
        desk.near.send(desk.near.rtp(), desk.address(NEAR))
        await until(lambda: desk.plane.stats().received == 1)
        desk.plane.carry_out(ChangeRule(NEAR, desk.rule(NEAR, desk.near, desk.far)))
        await desk.passes()
        assert desk.far.waiting() == []
        desk.plane.carry_out(ReleasePorts(NEAR))
        (stats,) = await desk.told(MediaStats)
        assert (stats.packets, stats.dropped) == (2, 0)

    play(scenario)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x80", id="one octet"),
        pytest.param(b"\x80\x00" + bytes(9), id="eleven octets"),
        pytest.param(b"\x8f\x00" + bytes(20), id="fifteen sources in eight octets"),
        pytest.param(b"\x90\x00" + bytes(10), id="extension that isn't there"),
        pytest.param(b"\x90\x00" + bytes(12) + b"\xff\xff" + bytes(20), id="extension beyond the end"),
        pytest.param(b"\x80\x00" + bytes(3_000), id="longer than any codec's"),
        pytest.param(b"\x80\x00" + bytes(60_000), id="huge"),
        pytest.param(b"\x16\xfe\xff" + bytes(60), id="ClientHello where none is awaited"),
        pytest.param(b"\xff" * 100, id="nothing known"),
        pytest.param(b"\x80\xc8\x00\x06" + bytes(3), id="short RTCP"),
    ],
)
def test_a_malformed_packet_goes_nowhere_and_the_call_goes_on(play: Play, data: bytes) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.near.send(data, desk.address(NEAR))
        await desk.passes()
        assert desk.far.waiting() == []

    play(scenario)


def test_rtcp_is_bridged_between_a_side_that_multiplexes_it_and_one_that_does_not(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        far_rtcp = Phone(desk.far.address[0])
        near = desk.rule(NEAR, desk.near, desk.far)._replace(rtcp=Way(second(FAR), far_rtcp.address))
        back = desk.rule(FAR, far_rtcp, desk.near)._replace(rtp=None)
        desk.plane.carry_out(AddRule(NEAR, near))
        desk.plane.carry_out(AddRule(FAR, desk.rule(FAR, desk.far, desk.near)))
        desk.plane.carry_out(AddRule(second(FAR), back))
        desk.near.send(RECEIVER_REPORT, desk.address(NEAR))
        assert await far_rtcp.receive_from() == (RECEIVER_REPORT, desk.address(second(FAR)))
        far_rtcp.send(RECEIVER_REPORT, desk.address(second(FAR)))
        assert await desk.near.receive_from() == (RECEIVER_REPORT, desk.address(NEAR))
        far_rtcp.sock.close()

    play(scenario)


def test_a_pair_in_use_is_told_as_failed_and_leaves_nothing(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        other = Phone(desk.hosts["near"])
        taken = NEAR._replace(number=other.address[1] & ~1)
        desk.plane.carry_out(BindPorts(taken))
        desk.plane.carry_out(AddRule(taken, desk.rule(NEAR, desk.near, desk.far)))
        desk.plane.carry_out(ReleasePorts(taken))
        assert desk.inputs == []  # never from within an order
        (failed,) = await desk.told(PortsFailed)
        assert failed.port == taken
        assert "in use" in failed.reason
        assert desk.plane.stats().ports == 0
        other.sock.close()
        desk.plane.carry_out(BindPorts(taken))
        assert desk.plane.stats().ports == 2

    play(scenario)


def test_a_side_can_speak_ipv6(native: bool) -> None:
    async def scenario() -> None:
        with opened(PlaneSettings(native=native), far_host="::1") as desk:
            far = Phone("::1")
            desk.plane.carry_out(BindPorts(NEAR))
            port = FAR
            while desk.plane.stats().ports < 4:  # there is one such address alone: others may be at work there
                port = port._replace(number=2 * random.randrange(5_000, 30_000))
                desk.plane.carry_out(BindPorts(port))
            there = desk.rule(NEAR, desk.near, far)._replace(rtp=Way(port, far.address))
            desk.plane.carry_out(AddRule(NEAR, there))
            desk.plane.carry_out(AddRule(port, desk.rule(port, far, desk.near)))
            data = desk.near.rtp()
            desk.near.send(data, desk.address(NEAR))
            assert await far.receive_from() == (data, desk.address(port))
            far.send(data, desk.address(port))
            assert await desk.near.receive_from() == (data, desk.address(NEAR))
            far.sock.close()

    asyncio.run(scenario())
