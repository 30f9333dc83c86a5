"""SRTP by keys from the descriptions: between plain and secured sides, and over changes of keys."""

from __future__ import annotations

import pytest
from conftest import Play
from relay_desk import FAR, NEAR, Desk, Phone, until
from srtp_peers import Secured, crypto

from engine.media.rules import AddRule, MediaPacket, MediaStats, ReleasePorts, Sdes, SecurePort
from engine.media.sdp.attributes import SUITES

SUITE = b"AES_CM_128_HMAC_SHA1_80"
KEYS = Sdes(crypto(SUITE, b"r"), crypto(SUITE, b"s"))
REPORT = b"\x80\xc8\x00\x06" + bytes.fromhex("12345678") + bytes(20)


def secured(desk: Desk, keys: Sdes = KEYS) -> Secured:
    """A call whose far side is secured."""
    desk.connect()
    desk.plane.carry_out(SecurePort(FAR, keys))
    return Secured.of(keys)


@pytest.mark.parametrize("suite", SUITES)
def test_a_plain_side_and_a_secured_one_hear_each_other(play: Play, suite: bytes) -> None:
    async def scenario(desk: Desk) -> None:
        peer = secured(desk, Sdes(crypto(suite, b"r"), crypto(suite, b"s")))
        there, back = desk.near.rtp(), desk.far.rtp()
        desk.near.send(there, desk.address(NEAR))
        on_the_way = await desk.far.receive()
        assert there[12:] not in on_the_way
        assert peer.back.unprotect(on_the_way) == there
        desk.far.send(peer.out.protect(back), desk.address(FAR))
        assert await desk.near.receive() == back

    play(scenario)


def test_rtcp_is_secured_as_well(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        peer = secured(desk)
        desk.near.send(REPORT, desk.address(NEAR))
        assert peer.back.unprotect_rtcp(await desk.far.receive()) == REPORT
        desk.far.send(peer.out.protect_rtcp(REPORT), desk.address(FAR))
        assert await desk.near.receive() == REPORT

    play(scenario)


def test_what_is_not_authentic_is_neither_forwarded_nor_given_to_the_engine(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        peer = secured(desk)
        wrong = Secured(SUITE, b"w" * 30, b"s" * 30)
        stranger = Phone()
        stranger.ssrc += 1
        stranger.send(wrong.out.protect(stranger.rtp()), desk.address(FAR))
        desk.far.send(wrong.out.protect(desk.far.rtp()), desk.address(FAR))
        desk.far.send(desk.far.rtp(), desk.address(FAR))
        good = peer.out.protect(desk.far.rtp())
        for _ in range(2):  # the second is a replay
            desk.far.send(good, desk.address(FAR))
        await desk.near.receive()
        await until(lambda: desk.plane.stats().received == 5)
        assert desk.near.waiting() == []
        assert desk.of(MediaPacket) == []
        desk.plane.carry_out(ReleasePorts(FAR))
        (stats,) = await desk.told(MediaStats)
        assert (stats.packets, stats.dropped) == (1, 4)

    play(scenario)


def test_an_authentic_packet_from_elsewhere_is_given_to_the_engine_as_proven(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        peer = secured(desk)
        moved = Phone()
        data = moved.rtp()
        moved.send(peer.out.protect(data), desk.address(FAR))
        assert await desk.told(MediaPacket) == [MediaPacket(FAR, moved.address, data, proven=True)]
        assert desk.near.waiting() == []

    play(scenario)


def test_the_roll_over_goes_on_where_keys_are_told_again(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        peer = secured(desk)
        for sequence in (65_534, 65_535, 0, 1):
            if sequence == 1:
                # A re-INVITE with the same keys: another object of the same value.
                desk.plane.carry_out(SecurePort(FAR, Sdes(crypto(SUITE, b"r"), crypto(SUITE, b"s"))))
            there, back = desk.near.rtp(sequence=sequence), desk.far.rtp(sequence=sequence)
            desk.near.send(there, desk.address(NEAR))
            assert peer.back.unprotect(await desk.far.receive()) == there
            desk.far.send(peer.out.protect(back), desk.address(FAR))
            assert await desk.near.receive() == back

    play(scenario)


def test_one_way_can_take_a_new_key_while_the_other_keeps_its_counter(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        peer = secured(desk)
        for sequence in (65_535, 0):
            there = desk.near.rtp(sequence=sequence)
            desk.near.send(there, desk.address(NEAR))
            assert peer.back.unprotect(await desk.far.receive()) == there
        old = peer.out
        desk.plane.carry_out(SecurePort(FAR, Sdes(crypto(SUITE, b"n"), KEYS.send)))
        there = desk.near.rtp(sequence=1)
        desk.near.send(there, desk.address(NEAR))
        assert peer.back.unprotect(await desk.far.receive()) == there
        desk.far.send(old.protect(desk.far.rtp()), desk.address(FAR))
        new = Secured(SUITE, b"n" * 30, KEYS.send.key)
        back = desk.far.rtp()
        desk.far.send(new.out.protect(back), desk.address(FAR))
        assert await desk.near.receive() == back
        assert desk.near.waiting() == []

    play(scenario)


def test_a_sender_that_keeps_changing_its_source_is_heard_all_the_time(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        peer = secured(desk)
        for _ in range(40):  # more than state is kept of
            desk.near.ssrc += 1
            desk.far.ssrc += 1
            there, back = desk.near.rtp(), desk.far.rtp()
            desk.near.send(there, desk.address(NEAR))
            assert peer.back.unprotect(await desk.far.receive()) == there
            desk.far.send(peer.out.protect(back), desk.address(FAR))
            assert await desk.near.receive() == back

    play(scenario)


def test_both_sides_can_be_secured_by_different_keys(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        far = secured(desk)
        gcm = b"AEAD_AES_256_GCM"
        keys = Sdes(crypto(gcm, b"a"), crypto(gcm, b"b"))
        desk.plane.carry_out(SecurePort(NEAR, keys))
        near = Secured.of(keys)
        there = desk.near.rtp()
        desk.near.send(near.out.protect(there), desk.address(NEAR))
        assert far.back.unprotect(await desk.far.receive()) == there

    play(scenario)


def test_a_port_that_becomes_plain_again_forgets_its_keys(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        secured(desk)
        desk.plane.carry_out(SecurePort(FAR, None))
        there = desk.near.rtp()
        desk.near.send(there, desk.address(NEAR))
        assert await desk.far.receive() == there

    play(scenario)


def test_the_longest_packet_is_secured(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        desk.plane.carry_out(AddRule(NEAR, desk.rule(NEAR, desk.near, desk.far, None)))
        desk.plane.carry_out(SecurePort(FAR, KEYS))
        there = desk.near.rtp(bytes(1_988))
        desk.near.send(there, desk.address(NEAR))
        assert len(await desk.far.receive()) == 2_010

    play(scenario)
