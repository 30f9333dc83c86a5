"""SRTP by keys of a DTLS hand-shake, with the peer that the rule names and no other."""

from __future__ import annotations

import pytest
from conftest import Play
from relay_desk import FAR, NEAR, Desk, Phone, until
from srtp_peers import DtlsPeer, peer_certificate

from engine.boundary import Address
from engine.live.relay.forwarder import MOST_HELD
from engine.media.profiles import Setup
from engine.media.rules import AddRule, ChangeRule, Dtls, DtlsEnded, MediaPacket, ReleasePorts, SecurePort
from engine.media.sdp.attributes import Fingerprint

WRONG = Fingerprint(b"sha-256", bytes(32))


def awaited(part: Setup, peer: Address | None) -> Dtls:
    return Dtls(part, (peer_certificate().fingerprint,), peer)


@pytest.mark.parametrize("part", ["active", "passive"])
def test_after_a_hand_shake_both_sides_hear_each_other(play: Play, part: Setup) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited(part, desk.far.address)))
        peer = DtlsPeer(desk.far, is_client=part == "passive")
        keys = await peer.shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]
        assert desk.certificate.fingerprint == Fingerprint(b"sha-256", _sha256(peer.certificate_seen()))
        there, back = desk.near.rtp(), desk.far.rtp()
        desk.near.send(there, desk.address(NEAR))
        assert keys.back.unprotect(await desk.far.receive()) == there
        desk.far.send(keys.out.protect(back), desk.address(FAR))
        assert await desk.near.receive() == back

    play(scenario)


def test_nothing_passes_while_keys_are_awaited(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        desk.near.send(desk.near.rtp(), desk.address(NEAR))
        desk.far.send(desk.far.rtp(), desk.address(FAR))
        await until(lambda: desk.plane.stats().received == 2)
        await until(lambda: desk.plane.stats().dropped == 2)
        assert desk.near.waiting() == desk.far.waiting() == []
        assert desk.of(MediaPacket) == []

    play(scenario)


def test_a_client_waits_until_there_is_a_peer(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("active", None)))
        desk.near.send(desk.near.rtp(), desk.address(NEAR))
        await until(lambda: desk.plane.stats().dropped == 1)
        assert desk.far.waiting() == []
        desk.plane.carry_out(SecurePort(FAR, awaited("active", desk.far.address)))
        await DtlsPeer(desk.far, is_client=False).shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]

    play(scenario)


def test_a_client_hello_of_a_stranger_is_not_answered_and_disturbs_nobody(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        stranger = Phone()
        hello = DtlsPeer(stranger, is_client=True).flight()
        await desk.flood(stranger, FAR, [hello] * 200)
        await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]
        await desk.flood(stranger, FAR, [hello] * 200)
        assert stranger.waiting() == []
        assert desk.plane.stats().dropped == 400

    play(scenario)


def test_a_client_hello_that_comes_before_the_answer_is_waited_for_and_taken_then(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        peer = DtlsPeer(desk.far, is_client=True)
        hello = peer.flight()
        await desk.flood(desk.far, FAR, [hello] * (MOST_HELD + 1))
        assert desk.plane.stats().dropped == 1
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        peer.connection.bio_write(await desk.far.receive())  # without another word from it
        keys = await peer.shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]
        desk.near.send(there := desk.near.rtp(), desk.address(NEAR))
        assert keys.back.unprotect(await desk.far.receive()) == there

    play(scenario)


def test_what_waited_where_an_answer_wants_no_hand_shake_is_given_up_and_counted(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        hello = DtlsPeer(desk.far, is_client=True).flight()
        await desk.flood(desk.far, FAR, [hello] * MOST_HELD)
        desk.plane.carry_out(AddRule(FAR, desk.rule(FAR, desk.far, None)))  # no answer yet
        assert desk.plane.stats().dropped == 0
        desk.plane.carry_out(ChangeRule(FAR, desk.rule(FAR, desk.far, desk.near)))
        assert desk.plane.stats().dropped == MOST_HELD
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        await desk.flood(desk.near, NEAR, [desk.near.rtp()])
        assert desk.far.waiting() == []

    play(scenario)


def test_speech_that_flows_already_takes_no_hand_shake_that_waits_for_its_peer(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        peer = DtlsPeer(desk.far, is_client=True)
        await desk.flood(desk.far, FAR, [peer.flight()])
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", None)))  # ICE has not told yet whose it is
        desk.plane.carry_out(AddRule(FAR, desk.rule(FAR, desk.far, desk.near)))
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        peer.connection.bio_write(await desk.far.receive())
        await peer.shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]
        assert desk.plane.stats().dropped == 0

    play(scenario)


def test_what_a_stranger_said_before_the_answer_is_forgotten(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        stranger = Phone()
        hello = DtlsPeer(stranger, is_client=True).flight()
        await desk.flood(stranger, FAR, [hello])
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", stranger.address)))
        await desk.flood(desk.near, NEAR, [desk.near.rtp()])
        assert stranger.waiting() == []

    play(scenario)


@pytest.mark.parametrize("part", ["active", "passive"])
def test_with_another_certificate_than_the_signalled_one_no_key_is_used(play: Play, part: Setup) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, Dtls(part, (WRONG,), desk.far.address)))
        keys = await DtlsPeer(desk.far, is_client=part == "passive").shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR, "certificate")]
        desk.near.send(desk.near.rtp(), desk.address(NEAR))
        desk.far.send(keys.out.protect(desk.far.rtp()), desk.address(FAR))
        await until(lambda: desk.plane.stats().dropped == 2)
        assert desk.near.waiting() == []

    play(scenario)


def test_a_peer_that_moves_keeps_its_keys(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        keys = await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
        await desk.told(DtlsEnded)
        moved = Phone()
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", moved.address)))
        there = desk.near.rtp()
        desk.near.send(there, desk.address(NEAR))
        assert keys.back.unprotect(await desk.far.receive()) == there
        assert desk.of(DtlsEnded) == [DtlsEnded(FAR)]

    play(scenario)


def test_another_fingerprint_makes_another_hand_shake(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, Dtls("passive", (WRONG,), desk.far.address)))
        await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
        await desk.told(DtlsEnded)
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        keys = await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
        assert (await desk.told(DtlsEnded, 2))[-1] == DtlsEnded(FAR)
        back = desk.far.rtp()
        desk.far.send(keys.out.protect(back), desk.address(FAR))
        assert await desk.near.receive() == back

    play(scenario)


def test_a_lost_flight_is_said_again(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("active", desk.far.address)))
        await desk.far.receive()  # the first ClientHello is lost
        await DtlsPeer(desk.far, is_client=False).shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]

    play(scenario)


def test_a_peer_that_says_no_more_is_given_up(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("active", desk.far.address)))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR, "timeout")]

    play(scenario, handshake_s=0.2)


def test_a_farewell_changes_nothing_for_a_bye_follows(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("passive", desk.far.address)))
        peer = DtlsPeer(desk.far, is_client=True)
        keys = await peer.shake(desk.address(FAR))
        await desk.told(DtlsEnded)
        peer.connection.shutdown()
        desk.far.send(peer.connection.bio_read(65_535), desk.address(FAR))
        desk.near.send(there := desk.near.rtp(), desk.address(NEAR))
        assert keys.back.unprotect(await desk.far.receive()) == there
        assert desk.of(DtlsEnded) == [DtlsEnded(FAR)]

    play(scenario)


def test_a_port_released_during_its_hand_shake_tells_nothing_more(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SecurePort(FAR, awaited("active", desk.far.address)))
        await desk.far.receive()
        desk.plane.carry_out(ReleasePorts(FAR))
        desk.bind()
        desk.near.send(desk.near.rtp(), desk.address(NEAR))
        await until(lambda: desk.plane.stats().received == 1)
        assert desk.of(DtlsEnded) == []

    play(scenario, handshake_s=0.1)


def _sha256(data: bytes) -> bytes:
    from hashlib import sha256

    return sha256(data).digest()
