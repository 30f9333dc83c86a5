"""What is measured of a stream, and told each few seconds."""

from __future__ import annotations

from conftest import Play
from relay_desk import FAR, NEAR, Desk, until

from engine.media.rules import MediaStats, ReleasePorts

LONG_AGO = 1e9


async def stats_of(desk: Desk) -> MediaStats:
    desk.plane.carry_out(ReleasePorts(NEAR))
    return (await desk.told(MediaStats))[-1]


def test_gaps_are_lost_packets_and_late_ones_are_found_again(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        for sequence in (65_534, 65_535, 2, 1, 3, 7):  # 0, 4, 5 and 6 never come
            desk.near.send(desk.near.rtp(sequence=sequence), desk.address(NEAR))
            await desk.far.receive()
        stats = await stats_of(desk)
        assert (stats.packets, stats.lost) == (6, 4)
        assert stats.octets == 6 * 172

    play(scenario)


def test_another_source_in_the_stream_is_no_loss(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.near.send(desk.near.rtp(sequence=10), desk.address(NEAR))
        desk.near.ssrc += 1
        desk.near.send(desk.near.rtp(sequence=5_000), desk.address(NEAR))
        desk.near.send(desk.near.rtp(sequence=40_000), desk.address(NEAR))  # a restart of its numbers
        for _ in range(3):
            await desk.far.receive()
        assert (await stats_of(desk)).lost == 0

    play(scenario)


def test_jitter_is_how_far_arrivals_stray_from_time_stamps(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        for index in range(2):  # the stamps say a second, the packets come at once
            desk.near.send(desk.near.rtp(stamp=index * 8_000), desk.address(NEAR))
            await desk.far.receive()
        jitter_ms = (await stats_of(desk)).jitter_ms
        assert 30.0 < jitter_ms <= 1_000.0 / 16

    play(scenario)


def test_the_round_trip_is_read_off_a_report_that_names_one_of_ours(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        report = b"\x80\xc8\x00\x06" + bytes(4) + bytes.fromhex("00001234abcd0000") + bytes(12)
        desk.far.send(report, desk.address(FAR))
        assert await desk.near.receive() == report
        block = bytes(16) + bytes.fromhex("1234abcd") + (0).to_bytes(4)
        desk.near.send(b"\x81\xc9\x00\x07" + bytes(4) + block, desk.address(NEAR))
        await desk.far.receive()
        round_trip_ms = (await stats_of(desk)).round_trip_ms
        assert round_trip_ms is not None
        assert 0.0 <= round_trip_ms < 10_000.0

    play(scenario)


def test_measurements_are_told_again_and_again_and_begin_anew(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        await desk.passes()
        await until(lambda: {stats.port for stats in desk.of(MediaStats)} == {NEAR, FAR})
        await until(lambda: len([stats for stats in desk.of(MediaStats) if stats.port == NEAR]) >= 3)
        near = [stats for stats in desk.of(MediaStats) if stats.port == NEAR]
        assert sum(stats.packets for stats in near) == 1
        assert near[-1].packets == 0
        assert near[-1].silent_s > 0.0
        assert near[-1].round_trip_ms is None

    play(scenario, stats_s=0.1)
