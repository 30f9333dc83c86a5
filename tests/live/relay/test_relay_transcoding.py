"""Two phones without a common codec hear each other: proven by a tone, found at its frequency on the far side."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("av", reason="PyAV is not installed")

from conftest import Play
from relay_desk import FAR, NEAR, Desk, second
from srtp_peers import Secured, crypto
from tones import CODERS, heard_hz, spoken

from engine.live.relay.transcoding import TranscodedStream
from engine.media.codecs import TRANSCODABLE, PayloadRule
from engine.media.rules import AddRule, ChangeRule, ReleasePorts, Sdes, SecurePort, Way

NUMBERS = {b"pcmu": 0, b"pcma": 8, b"g722": 9, b"opus": 111}
TONE_HZ = 700.0


def rule(source: bytes, sink: bytes, packet_ms: int = 20) -> dict[int, PayloadRule]:
    clocks = (TRANSCODABLE[source].clock_hz, TRANSCODABLE[sink].clock_hz)
    return {NUMBERS[source]: PayloadRule(NUMBERS[sink], *clocks, source, sink, packet_ms)}


class Sender:
    """Payloads made packets, stamped as their codec is."""

    def __init__(self, codec: bytes, packet_ms: int = 20) -> None:
        self.number = NUMBERS[codec]
        self.step = TRANSCODABLE[codec].clock_hz * packet_ms // 1_000
        self.sequence, self.stamp = 65_530, 0xFFFF_F000

    def packet(self, payload: bytes, *, marker: bool = False, number: int | None = None) -> bytes:
        head = bytes((0x80, (self.number if number is None else number) | marker << 7))
        packet = head + self.sequence.to_bytes(2) + self.stamp.to_bytes(4) + b"\x12\x34\x56\x78" + payload
        self.sequence = (self.sequence + 1) & 0xFFFF
        if number is None:
            self.pause(1)
        return packet

    def pause(self, packets: int) -> None:
        self.stamp = (self.stamp + packets * self.step) & 0xFFFF_FFFF


def sequences(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(packet[2:4]) for packet in packets]


def stamps(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(packet[4:8]) for packet in packets]


def steps(numbers: list[int], modulus: int) -> set[int]:
    return {(after - before) % modulus for before, after in itertools.pairwise(numbers)}


@pytest.mark.parametrize(("source", "sink"), list(itertools.permutations(CODERS, 2)))
def test_a_tone_arrives_at_its_frequency(source: bytes, sink: bytes) -> None:
    stream, sender = TranscodedStream(rule(source, sink)), Sender(source)
    packets = [
        packet
        for payload in spoken(source, TONE_HZ, 1.0)
        for packet in stream.rtp(sender.packet(payload, marker=sender.sequence == 65_530))
    ]
    assert len(packets) == 50
    assert heard_hz(sink, [packet[12:] for packet in packets]) == pytest.approx(TONE_HZ, abs=5.0)
    assert {packet[1] & 0x7F for packet in packets} == {NUMBERS[sink]}
    assert [packet[1] >> 7 for packet in packets] == [1] + [0] * 49
    assert sequences(packets)[0] == 65_530
    assert steps(sequences(packets), 1 << 16) == {1}
    assert steps(stamps(packets), 1 << 32) == {TRANSCODABLE[sink].clock_hz // 50}
    assert {packet[8:12] for packet in packets} == {b"\x12\x34\x56\x78"}


@pytest.mark.parametrize(("there_ms", "here_ms"), [(60, 20), (20, 60), (20, 40), (10, 20), (20, 10)])
def test_packets_can_last_shorter_or_longer_than_they_did(there_ms: int, here_ms: int) -> None:
    stream, sender = TranscodedStream(rule(b"opus", b"pcmu", here_ms)), Sender(b"opus", there_ms)
    packets = [
        packet
        for payload in spoken(b"opus", TONE_HZ, 1.2, there_ms)
        for packet in stream.rtp(sender.packet(payload))
    ]
    assert {len(packet) - 12 for packet in packets} == {8 * here_ms}
    assert len(packets) == 1_200 // here_ms
    assert steps(sequences(packets), 1 << 16) == {1}
    assert steps(stamps(packets), 1 << 32) == {8 * here_ms}
    assert heard_hz(b"pcmu", [packet[12:] for packet in packets]) == pytest.approx(TONE_HZ, abs=5.0)


def test_a_loss_stays_a_loss_and_a_pause_a_pause() -> None:
    stream, sender = TranscodedStream(rule(b"pcmu", b"opus")), Sender(b"pcmu")
    payloads = spoken(b"pcmu", TONE_HZ, 0.2)
    (first,) = stream.rtp(sender.packet(payloads[0]))
    sender.packet(payloads[1])  # lost
    (third,) = stream.rtp(sender.packet(payloads[2]))
    sender.pause(10)  # silence that was not sent
    (fourth,) = stream.rtp(sender.packet(payloads[3], marker=True))
    assert steps(sequences([first, third]), 1 << 16) == {2}
    assert steps(stamps([first, third]), 1 << 32) == {2 * 960}
    assert steps(sequences([third, fourth]), 1 << 16) == {1}
    assert steps(stamps([third, fourth]), 1 << 32) == {11 * 960}
    assert fourth[1] & 0x80


def test_late_packets_and_such_that_cannot_be_decoded_are_left_out() -> None:
    stream, sender = TranscodedStream(rule(b"opus", b"pcmu")), Sender(b"opus")
    payloads = spoken(b"opus", TONE_HZ, 0.2)
    late = sender.packet(payloads[0])
    assert stream.rtp(sender.packet(payloads[1]))
    assert stream.rtp(late) == []
    assert stream.rtp(sender.packet(b"\xff" * 7)) == []
    assert stream.rtp(sender.packet(b"")) == []
    assert stream.rtp(sender.packet(payloads[2]))


def test_digits_move_to_the_clock_of_who_listens_with_their_durations() -> None:
    rules = {**rule(b"opus", b"pcmu"), 110: PayloadRule(101, 48_000, 8_000)}
    stream, sender = TranscodedStream(rules), Sender(b"opus")
    (speech,) = stream.rtp(sender.packet(spoken(b"opus", TONE_HZ, 0.1)[0]))
    events = [
        stream.rtp(sender.packet(b"\x05\x0a" + duration.to_bytes(2), number=110, marker=duration == 960))[0]
        for duration in (960, 1_920, 2_880)
    ]
    assert {packet[1] & 0x7F for packet in events} == {101}
    assert [packet[12:] for packet in events] == [
        b"\x05\x0a" + duration.to_bytes(2) for duration in (160, 320, 480)
    ]
    assert len(set(stamps(events))) == 1
    assert steps(stamps([speech, events[0]]), 1 << 32) == {160}
    assert steps(sequences([speech, *events]), 1 << 16) == {1}


def test_sender_reports_speak_of_the_stream_that_goes_out() -> None:
    stream, sender = TranscodedStream(rule(b"pcmu", b"opus")), Sender(b"pcmu")
    begin = sender.stamp
    packets = [
        packet for payload in spoken(b"pcmu", TONE_HZ, 0.2) for packet in stream.rtp(sender.packet(payload))
    ]
    head = b"\x80\xc8\x00\x06\x12\x34\x56\x78" + bytes(8)
    stamp = (begin + 800) & 0xFFFF_FFFF
    report = stream.rtcp(head + stamp.to_bytes(4) + (10).to_bytes(4) + (1_600).to_bytes(4) + b"more")
    assert report[:16] == head
    assert int.from_bytes(report[16:20]) == (begin + 4_800) & 0xFFFF_FFFF
    assert int.from_bytes(report[20:24]) == 10
    assert int.from_bytes(report[24:28]) == sum(len(packet) - 12 for packet in packets)
    assert report[28:] == b"more"
    of_another = b"\x80\xc8\x00\x06" + bytes(24)
    assert stream.rtcp(of_another) == of_another


def test_both_sides_of_a_call_hear_each_other_and_rtcp_goes_along(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.bind()
        keys = Sdes(crypto(b"AEAD_AES_128_GCM", b"r"), crypto(b"AEAD_AES_128_GCM", b"s"))
        desk.plane.carry_out(SecurePort(FAR, keys))
        peer = Secured.of(keys)
        desk.plane.carry_out(AddRule(NEAR, desk.rule(NEAR, desk.near, desk.far, rule(b"pcmu", b"opus"))))
        desk.plane.carry_out(AddRule(FAR, desk.rule(FAR, desk.far, desk.near, rule(b"opus", b"pcmu"))))
        there, back = Sender(b"pcmu"), Sender(b"opus")
        at_far, at_near = [], []
        for payload, answer in zip(spoken(b"pcmu", TONE_HZ, 1.0), spoken(b"opus", 2 * TONE_HZ, 1.0), strict=True):
            desk.near.send(there.packet(payload), desk.address(NEAR))
            at_far.append(peer.back.unprotect(await desk.far.receive())[12:])
            desk.far.send(peer.out.protect(back.packet(answer)), desk.address(FAR))
            at_near.append((await desk.near.receive())[12:])
        assert heard_hz(b"opus", at_far) == pytest.approx(TONE_HZ, abs=5.0)
        assert heard_hz(b"pcmu", at_near) == pytest.approx(2 * TONE_HZ, abs=5.0)
        report = b"\x80\xc9\x00\x01" + bytes(4)
        desk.near.send(report, desk.address(NEAR))
        assert peer.back.unprotect_rtcp(await desk.far.receive()) == report

    play(scenario)


def test_where_transcoding_begins_and_ends_the_call_goes_on(play: Play) -> None:
    async def scenario(desk: Desk) -> None:
        desk.connect()
        await desk.passes()
        sender = Sender(b"pcmu")
        payload = spoken(b"pcmu", TONE_HZ, 0.1)[0]
        way = Way(second(FAR), desk.far.address)
        transcoded = desk.rule(NEAR, desk.near, desk.far, rule(b"pcmu", b"pcma"))._replace(rtcp=way)
        desk.plane.carry_out(ChangeRule(NEAR, transcoded))
        desk.near.send(sender.packet(payload), desk.address(NEAR))
        assert (await desk.far.receive())[1] == 8
        desk.plane.carry_out(ChangeRule(NEAR, desk.rule(NEAR, desk.near, desk.far)))
        data = sender.packet(payload)
        desk.near.send(data, desk.address(NEAR))
        assert await desk.far.receive() == data
        desk.plane.carry_out(ReleasePorts(NEAR))

    play(scenario)
