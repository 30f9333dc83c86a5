"""Packets that nobody should send, floods, and overload: bounded, counted, and the call goes on."""

from __future__ import annotations

import random
import time

import pytest
from conftest import Play
from relay_desk import FAR, NEAR, PATIENCE_S, PCMU, Desk, Phone, until
from srtp_peers import DtlsPeer, Secured, crypto, peer_certificate

from engine.boundary import Address
from engine.live.relay.codecs import can_transcode
from engine.live.relay.dtls import Association
from engine.media.codecs import PayloadRule
from engine.media.rules import (
    AddRule,
    ChangeRule,
    Dtls,
    DtlsEnded,
    MediaPacket,
    Rule,
    Sdes,
    SecurePort,
    SendMedia,
    Way,
)

SUITE = b"AES_CM_128_HMAC_SHA1_80"
FIRST_OCTETS = (0x80, 0x90, 0xA0, 0xB0, 0x8F, 0x00, 0x16, 0xFF)


def garbage(source: random.Random, number: int) -> list[bytes]:
    """Packets that begin as some protocol of a media port does, and go on anyhow."""
    return [
        bytes((source.choice(FIRST_OCTETS), source.choice((0, 8, 101, 111, 200, 201, 0x80))))
        + source.randbytes(source.randrange(0, 60))
        for _ in range(number)
    ]


def test_garbage_from_a_believed_source_disturbs_neither_plain_nor_secured_ports(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        keys = Sdes(crypto(SUITE, b"r"), crypto(SUITE, b"s"))
        desk.plane.carry_out(SecurePort(FAR, keys))
        peer = Secured.of(keys)
        source = random.Random(7)
        for _ in range(4):
            await desk.flood(desk.near, NEAR, garbage(source, 250))
            await desk.flood(desk.far, FAR, garbage(source, 250))
            desk.far.waiting()
        back = desk.far.rtp()
        desk.far.send(peer.out.protect(back), desk.address(FAR))
        while await desk.near.receive() != back:
            pass
        assert desk.plane.stats().faults == 0

    play(scenario)


@pytest.mark.skipif(not can_transcode(), reason="PyAV is not installed")
def test_garbage_that_is_to_be_transcoded_disturbs_no_codec(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        rules = {
            0: PayloadRule(8, 8_000, 8_000, b"pcmu", b"pcma"),
            111: PayloadRule(8, 48_000, 8_000, b"opus", b"pcma"),
            101: PayloadRule(101, 48_000, 8_000),
        }
        desk.bind()
        desk.plane.carry_out(AddRule(NEAR, desk.rule(NEAR, desk.near, desk.far, rules)))
        source = random.Random(8)
        for _ in range(4):
            await desk.flood(desk.near, NEAR, garbage(source, 250))
            desk.far.waiting()
        desk.near.ssrc += 1  # a new beginning, wherever the garbage has moved the numbers
        desk.near.send(desk.near.rtp(b"\x00" * 160), desk.address(NEAR))
        silence_at_full_scale = b"\x2a" * 160
        while (await desk.far.receive())[12:] != silence_at_full_scale:
            pass
        assert desk.plane.stats().faults == 0

    play(scenario)


def test_garbage_in_the_midst_of_a_hand_shake_does_not_end_it(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        awaited = Dtls("passive", (peer_certificate().fingerprint,), desk.far.address)
        desk.plane.carry_out(SecurePort(FAR, awaited))
        source = random.Random(9)
        records = [
            bytes((source.choice((20, 21, 22, 23, 25, 63)), 0xFE, 0xFD))
            + source.randbytes(source.randrange(10, 90))
            for _ in range(30)
        ]
        await desk.flood(desk.far, FAR, records)
        await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]
        assert desk.plane.stats().faults == 0

    play(scenario)


def test_a_peer_that_floods_with_dtls_gets_a_share_and_the_others_their_hand_shakes(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        known = (peer_certificate().fingerprint,)
        desk.plane.carry_out(SecurePort(NEAR, Dtls("passive", known, desk.near.address)))
        desk.plane.carry_out(SecurePort(FAR, Dtls("passive", known, desk.far.address)))
        await desk.flood(desk.near, NEAR, [b"\x16\xfe\xfd" + bytes(60)] * 500)
        assert desk.plane.stats().unqueued > 0
        await DtlsPeer(desk.far, is_client=True).shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]

    play(scenario)


def test_who_floods_in_its_peers_name_delays_that_peers_hand_shake_and_no_more(play: Play) -> None:
    """The price of the allowance: it is the address', so whoever floods by it takes the peer's own turns. One is
    free again in a fiftieth of a second, and a hand-shake that is said again comes through after the flood."""

    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(
            SecurePort(NEAR, Dtls("passive", (peer_certificate().fingerprint,), desk.near.address))
        )
        await desk.flood(desk.near, NEAR, [b"\x16\xfe\xfd" + bytes(60)] * 500)
        peer = DtlsPeer(desk.near, is_client=True)
        hello = peer.flight()
        answers: list[bytes] = []
        end = time.monotonic() + PATIENCE_S
        while not answers:
            assert time.monotonic() < end
            await desk.flood(desk.near, NEAR, [hello])
            answers = desk.near.waiting()
        for answer in answers:
            peer.connection.bio_write(answer)
        await peer.shake(desk.address(NEAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(NEAR)]
        assert desk.plane.stats().unqueued > 0

    play(scenario)


def test_the_queue_to_the_engine_is_bounded_and_what_goes_beyond_is_counted(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        for _ in range(40):  # the loop is at work on something else meanwhile
            phone = Phone()
            phone.send(phone.rtp(), desk.address(NEAR))
            phone.sock.close()
        end = time.monotonic() + PATIENCE_S
        while desk.plane.stats().received < 40:
            assert time.monotonic() < end
        assert desk.plane.stats().unqueued == 30
        assert len(await desk.told(MediaPacket, 10)) == 10

    play(scenario, events=10)


def test_what_is_late_under_overload_is_dropped_and_counted(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        sent = 0

        def burst() -> bool:
            nonlocal sent
            for _ in range(50):
                desk.near.send(desk.near.rtp(), desk.address(NEAR))
            sent += 50
            desk.far.waiting()
            return desk.plane.stats().shed > 0

        await until(burst)
        await until(lambda: desk.plane.stats().received == sent)
        await until(lambda: desk.plane.stats().forwarded + desk.plane.stats().shed == sent)
        await until(lambda: sum(lost.shed for lost in desk.lost) == desk.plane.stats().shed)

    play(scenario, late_s=0.0, stats_s=0.1)  # each turn is too long


def test_sources_are_told_apart_by_port_as_well(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect(PCMU)
        neighbour = Phone(desk.near.address[0])
        neighbour.send(neighbour.rtp(b"of another port"), desk.address(NEAR))
        assert (await desk.told(MediaPacket))[0].source == neighbour.address
        await desk.passes()
        assert desk.far.waiting() == []
        neighbour.sock.close()

    play(scenario)


@pytest.mark.parametrize("bad", [("a1b2.local", 4_000), ("fe80::1%lo", 4_000), ("127.0.0.1", 70_000)])
def test_what_is_no_address_in_an_order_is_counted_and_the_rest_is_obeyed(play: Play, bad: Address) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        desk.plane.carry_out(SendMedia(NEAR, bad, b"answer"))
        sources = frozenset((bad, desk.far.address))
        desk.plane.carry_out(ChangeRule(FAR, Rule(sources, Way(NEAR, bad), None, PCMU, "call-1")))
        assert desk.plane.stats().faults == 3
        desk.far.send(desk.far.rtp(), desk.address(FAR))
        await until(lambda: desk.plane.stats().received == 1)
        await desk.passes()
        assert desk.of(MediaPacket) == []  # the good source is believed
        assert desk.near.waiting() == []

    play(scenario)


def test_a_hand_shake_with_what_is_no_address_waits_for_one(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        awaited = Dtls("active", (peer_certificate().fingerprint,), ("a1b2.local", 4_000))
        desk.plane.carry_out(SecurePort(FAR, awaited))
        assert desk.plane.stats().faults == 1
        desk.plane.carry_out(SecurePort(FAR, awaited._replace(peer=desk.far.address)))
        await DtlsPeer(desk.far, is_client=False).shake(desk.address(FAR))
        assert await desk.told(DtlsEnded) == [DtlsEnded(FAR)]

    play(scenario)


@pytest.mark.parametrize("step", ["start", "expire"])
def test_a_hand_shake_that_fails_as_none_should_ends_alone(
    play: Play, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(association: Association) -> list[bytes]:
        raise ValueError("no IP address")

    async def scenario(desk: Desk) -> None:
        desk.connect()
        awaited = Dtls("active", (peer_certificate().fingerprint,), desk.far.address)
        with monkeypatch.context() as patched:
            patched.setattr(Association, step, fail)
            desk.plane.carry_out(SecurePort(FAR, awaited))
            assert await desk.told(DtlsEnded) == [DtlsEnded(FAR, "fault")]
        assert desk.plane.stats().faults == 1
        desk.far.waiting()
        desk.plane.carry_out(SecurePort(FAR, None))
        desk.plane.carry_out(SecurePort(FAR, awaited))
        await DtlsPeer(desk.far, is_client=False).shake(desk.address(FAR))
        assert (await desk.told(DtlsEnded, 2))[1] == DtlsEnded(FAR)

    play(scenario)
