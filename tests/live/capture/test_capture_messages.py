"""Whose message it is, and where it ends on a stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.boundary import Datagram, Flow, Interface, StreamClosed, StreamData
from engine.live.capture import Capture, Packet, Tap, Wanted, pcap
from engine.live.capture.hep import encode
from engine.live.capture.messages import MESSAGE_BYTES_MAX, Assembler, call_id_of, is_message, users_of
from tests.engine.wire import message
from tests.live.capture import read

INVITE = message(
    "INVITE sip:1001@192.0.2.1;transport=ws SIP/2.0",
    "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK1",
    'f: "Alice" <sip:1000@lab.test>;tag=1',
    "To: sip:1001@lab.test",
    "i: call@1",
    "CSeq: 1 INVITE",
    "Contact: <sips:ab12@x.invalid;transport=ws>",
    body="v=0\r\n",
)
OTHER = message("SIP/2.0 200 OK", "From: <sip:1002@lab.test>;tag=1", "To: <sip:1003@lab.test>", "Call-ID: call@2")
INTERFACES = {
    "udp": Interface(name="udp", transport="udp", host="192.0.2.1", port=5060),
    "tls": Interface(name="tls", transport="tls", host="192.0.2.1", port=5061),
    "wss": Interface(name="wss", transport="wss", host="2001:db8::1", port=7443),
}


def tapped(wanted: Wanted) -> tuple[Tap, list[Packet]]:
    packets: list[Packet] = []
    tap = Tap(lambda: INTERFACES, lambda: 1_000_000.25)
    tap.add(Capture(wanted, packets.append))
    return tap, packets


def test_a_message_tells_its_call_and_its_users() -> None:
    assert call_id_of(INVITE) == b"call@1"
    assert users_of(INVITE) == {b"1000", b"1001", b"ab12"}
    assert (call_id_of(OTHER), users_of(OTHER)) == (b"call@2", {b"1002", b"1003"})


def test_keep_alives_stun_and_event_sockets_are_no_messages() -> None:
    for data in (b"\r\n\r\n", b"\x00\x01\x00\x08!\x12\xa4B", b"Content-Type: auth/request\n\n", b"api status\n\n"):
        assert not is_message(data)
    assert is_message(INVITE)
    assert is_message(OTHER)


@given(st.lists(st.integers(1, 200), max_size=30))
def test_messages_are_found_however_a_stream_is_cut(sizes: list[int]) -> None:
    data = b"\r\n" + INVITE + b"\r\n\r\n" + OTHER + INVITE
    assembler, found, at = Assembler(), [], 0
    for size in sizes:
        found += assembler.feed(data[at : at + size])
        at += size
    assert found + assembler.feed(data[at:]) == [INVITE, OTHER, INVITE]


def test_a_capture_that_begins_within_a_message_finds_the_next() -> None:
    assert Assembler().feed(INVITE[40:] + OTHER) in ([OTHER], [])
    assembler = Assembler()
    assembler.feed(INVITE[40:])
    assert OTHER in assembler.feed(OTHER + OTHER)


@given(st.binary(max_size=400))
def test_whatever_passes_is_taken_calmly(data: bytes) -> None:
    tap, _ = tapped(Wanted(user="1000"))
    tap.heard(Datagram(Flow("udp", ("192.0.2.9", 5060)), data))
    tap.heard(StreamData(Flow("tls", ("192.0.2.9", 5060), 1), data))
    tap.sent(Flow("nowhere", ("a name", 5060)), data)


def test_one_call_is_caught_both_ways_over_every_transport() -> None:
    tap, packets = tapped(Wanted(call_ids=("call@1",)))
    tap.heard(Datagram(Flow("udp", ("192.0.2.9", 5070)), INVITE))
    tap.heard(Datagram(Flow("udp", ("192.0.2.9", 5070)), OTHER))
    tap.sent(Flow("wss", ("2001:db8::9", 50_000), 3), INVITE)
    tls = Flow("tls", ("192.0.2.8", 40_000), 1)
    tap.heard(StreamData(tls, INVITE[:100]))
    tap.heard(StreamData(tls, INVITE[100:] + OTHER))
    tap.heard(StreamClosed(tls, "closed"))
    tap.heard(StreamData(Flow("wss", ("2001:db8::9", 50_000), 3), INVITE))
    assert [(packet.source, packet.destination) for packet in packets] == [
        (("192.0.2.9", 5070), ("192.0.2.1", 5060)),
        (("2001:db8::1", 7443), ("2001:db8::9", 50_000)),
        (("192.0.2.8", 40_000), ("192.0.2.1", 5061)),
        (("2001:db8::9", 50_000), ("2001:db8::1", 7443)),
    ]
    assert {packet.data for packet in packets} == {INVITE}


def test_a_user_is_followed_into_its_calls() -> None:
    tap, packets = tapped(Wanted(user="1000"))
    flow = Flow("udp", ("192.0.2.9", 5070))
    hidden = message("BYE sip:x@y SIP/2.0", "From: <sip:anonymous@x>", "To: <sip:y@x>", "Call-ID: call@1")
    for data in (hidden, OTHER, INVITE, hidden):
        tap.heard(Datagram(flow, data))
    assert [packet.data for packet in packets] == [INVITE, hidden]


def test_captures_are_bounded_and_the_tap_rests_without_any() -> None:
    tap = Tap(lambda: INTERFACES)
    captures = [Capture(Wanted(everything=True), lambda packet: None) for _ in range(9)]
    assert [tap.add(capture) for capture in captures] == [True] * 8 + [False]
    assert not tap.idle
    for capture in captures[:8]:
        tap.remove(capture)
    assert tap.idle


def test_pcap_is_read_by_another_reader_ipv4_and_ipv6() -> None:
    tap, packets = tapped(Wanted(everything=True))
    tap.heard(Datagram(Flow("udp", ("192.0.2.9", 5070)), INVITE))
    tap.sent(Flow("wss", ("2001:db8::9", 50_000), 3), OTHER)
    first, second = read.pcap(pcap.HEADER + b"".join(map(pcap.record, packets)))
    assert first == (1_000_000.25, ("192.0.2.9", 5070), ("192.0.2.1", 5060), INVITE, 28 + len(INVITE))
    assert second[1:4] == (("2001:db8::1", 7443), ("2001:db8::9", 50_000), OTHER)


def test_a_message_longer_than_a_datagram_is_cut_and_says_so() -> None:
    data = message("MESSAGE sip:a@b SIP/2.0", "Call-ID: x", body="x" * 70_000)
    tap, packets = tapped(Wanted(everything=True))
    tap.sent(Flow("tls", ("192.0.2.8", 40_000), 1), data)
    (seen,) = read.pcap(pcap.HEADER + pcap.record(packets[0]))
    assert (len(seen.data), seen.length) == (MESSAGE_BYTES_MAX, 28 + len(data))
    assert read.hep(encode(packets[0], 1))[15] == data[: MESSAGE_BYTES_MAX - 500]


def test_hep_tells_addresses_time_and_the_call() -> None:
    tap, packets = tapped(Wanted(everything=True))
    tap.heard(Datagram(Flow("udp", ("192.0.2.9", 5070)), INVITE))
    chunks = read.hep(encode(packets[0], 2001))
    assert chunks == {
        1: b"\x02",
        2: b"\x11",
        3: bytes((192, 0, 2, 9)),
        4: bytes((192, 0, 2, 1)),
        7: (5070).to_bytes(2, "big"),
        8: (5060).to_bytes(2, "big"),
        9: (1_000_000).to_bytes(4, "big"),
        10: (250_000).to_bytes(4, "big"),
        11: b"\x01",
        12: (2001).to_bytes(4, "big"),
        15: INVITE,
        17: b"call@1",
    }
