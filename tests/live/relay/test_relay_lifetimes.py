"""Calls that come and go leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from pathlib import Path

import pytest
from conftest import Play
from relay_desk import FAR, NEAR, Desk, Phone, opened
from srtp_peers import DtlsPeer, crypto, peer_certificate

from engine.live.relay.plane import MediaPlane
from engine.live.relay.settings import PlaneSettings
from engine.media.rules import AddRule, BindPorts, Dtls, DtlsEnded, MediaStats, ReleasePorts, Sdes, SecurePort

SUITE = b"AES_CM_128_HMAC_SHA1_80"
KEYS = Sdes(crypto(SUITE, b"r"), crypto(SUITE, b"s"))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def a_call(desk: Desk) -> None:
    desk.connect()
    desk.plane.carry_out(SecurePort(FAR, KEYS))
    desk.plane.carry_out(SecurePort(NEAR, Dtls("passive", (peer_certificate().fingerprint,), desk.near.address)))
    desk.plane.carry_out(ReleasePorts(NEAR))
    desk.plane.carry_out(ReleasePorts(FAR))


def test_ten_thousand_calls_leave_no_file_no_rule_and_no_memory(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        files = open_files()
        warm = 0
        for number in range(10_000):
            a_call(desk)
            if number % 100 == 99:
                await desk.told(MediaStats, 200)
                desk.inputs.clear()
            if number == 1_999:
                warm = resident_bytes()
        assert desk.plane.stats().ports == 0
        assert open_files() == files
        assert resident_bytes() - warm < 4_000_000  # half a kilobyte a call would show

    play(scenario)


def test_a_rule_that_points_at_a_released_port_reaches_nobody(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        await desk.passes()
        desk.plane.carry_out(ReleasePorts(FAR))
        desk.plane.carry_out(BindPorts(FAR))  # the same port, another call's
        await desk.flood(desk.near, NEAR, [desk.near.rtp()])
        assert desk.far.waiting() == []

    play(scenario)


def test_stop_closes_all_and_ends_the_threads(native: bool) -> None:
    async def scenario() -> None:
        files = open_files()
        threads = threading.active_count()
        with opened(PlaneSettings(native=native)) as desk:
            desk.connect()
            desk.plane.carry_out(
                SecurePort(FAR, Dtls("passive", (peer_certificate().fingerprint,), desk.far.address))
            )
            await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
            await desk.told(DtlsEnded)
        desk.plane.stop()  # once more does no harm
        assert threading.active_count() == threads
        assert open_files() == files

    asyncio.run(scenario())


def test_before_its_start_a_plane_says_what_is_missing() -> None:
    plane = MediaPlane({}, lambda event: None)
    with pytest.raises(RuntimeError, match=r"start\(\)"):
        plane.carry_out(BindPorts(NEAR))


def test_orders_for_ports_that_are_not_bound_are_passed_over(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        phone = Phone()
        desk.plane.carry_out(AddRule(NEAR, desk.rule(NEAR, phone, phone)))
        desk.plane.carry_out(SecurePort(NEAR, KEYS))
        desk.plane.carry_out(ReleasePorts(NEAR))
        assert desk.plane.stats().ports == 0
        phone.sock.close()

    play(scenario)
