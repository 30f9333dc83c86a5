"""What comes over WebSocket: one message a frame (RFC 7118 §5), keep-alives (RFC 5626 §3.5.1), junk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import LimitsConfig
from engine.notes import MessageDropped, RequestRefused
from tests.engine.harness import EDGE, Exchange
from tests.engine.streams.streaming import connected, reasons, streaming

PING, PONG = b"\r\n\r\n", b"\r\n"


@pytest.mark.parametrize("interface", ["ws", "wss"])
def test_a_call_from_a_browser_reaches_a_node_and_its_answer_comes_back(interface: str) -> None:
    world = streaming()
    call = connected(world, interface).invite()
    invite = world.called().got("INVITE")[0]
    assert ";transport=ws;" in invite.all("record-route")[1]  # RFC 7118 registers no wss
    world.called().answer(200)
    assert call.statuses == [100, 200]
    assert {wire.flow for wire in call.responses} == {call.peer.flow}


@pytest.mark.parametrize("frame", [PING, b"", PING + PING], ids=["CRLFCRLF", "empty", "two in one"])
def test_a_keep_alive_frame_is_answered_by_one_crlf_frame(frame: bytes) -> None:
    world = streaming()
    connected(world).sends(frame)
    assert [wire.data for wire in world.sent] == [PONG]


def test_a_lone_crlf_is_a_pong_and_gets_no_answer() -> None:
    world = streaming()
    connected(world).sends(PONG)
    assert world.sent == []
    assert world.told(MessageDropped) == []


def test_a_frame_without_content_length_has_the_rest_of_the_frame_as_its_body() -> None:
    world = streaming()
    peer = connected(world)
    data = Exchange(peer, "INVITE", f"sip:9196@{EDGE}", body="v=0\r\n").data("INVITE")
    head, _body = data.split(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    peer.sends(b"\r\n".join(lines) + b"\r\n\r\n" + b"v=0\r\n")
    assert world.called().got("INVITE")[0].body == b"v=0\r\n"


@pytest.mark.parametrize("cut", [10, 100, -20])
def test_a_message_in_pieces_is_no_message(cut: int) -> None:
    world = streaming()
    peer = connected(world)
    data = Exchange(peer, "OPTIONS", f"sip:{EDGE}").data()
    peer.sends(data[:cut])
    peer.sends(data[cut:])
    assert {wire.status for wire in peer.inbox} <= {400}
    assert world.told(RequestRefused) or world.told(MessageDropped)


@pytest.mark.parametrize(
    "junk", [b"\x00\xff\xfe\x80", b"GET / HTTP/1.1\r\n\r\n", b"{}", b"SIP/2.0 200\r\n\r\n", b"\xc3\x28" * 1000]
)
def test_junk_is_told_and_dropped_and_the_next_message_is_heard(junk: bytes) -> None:
    world = streaming()
    peer = connected(world)
    peer.sends(junk)
    assert len(world.told(MessageDropped)) == 1
    assert world.closed == []
    peer.request("OPTIONS")
    assert peer.statuses("OPTIONS") == [200]


def test_a_frame_beyond_the_limit_ends_the_connection() -> None:
    world = streaming(limits=LimitsConfig(message_bytes=2000))
    peer = connected(world)
    peer.request("OPTIONS", body="x" * 3000)
    assert world.closed == [peer.flow]
    assert reasons(world) == ["message larger than the limit"]


def test_a_body_shorter_than_its_content_length_is_refused() -> None:
    world = streaming()
    peer = connected(world)
    data = Exchange(peer, "MESSAGE", f"sip:1@{EDGE}", body="hello").data("MESSAGE")
    peer.sends(data[:-2])
    assert [note.why for note in world.told(RequestRefused)] == ["body shorter than Content-Length"]
    assert peer.statuses("MESSAGE") == [400]


def test_connections_of_two_interfaces_may_bear_one_number() -> None:
    world = streaming()
    one, other = connected(world, "tls", 1), connected(world, "stream", 1)
    data = Exchange(one, "OPTIONS", f"sip:{EDGE}").data()
    one.sends(data[:50])
    other.request("OPTIONS")
    one.sends(data[50:])
    assert one.statuses() == other.statuses() == [200]


def test_what_comes_on_a_connection_closed_from_here_is_not_heard() -> None:
    world = streaming()
    peer = connected(world, "stream")
    peer.sends(b"nonsense\r\n\r\n")
    assert world.closed == [peer.flow]
    peer.request("OPTIONS")
    peer.closes()
    assert peer.inbox == []
    assert world.edge.open_connections() == 0
    assert len(reasons(world)) == 1


@given(frames=st.lists(st.binary(max_size=200), max_size=8), interface=st.sampled_from(["ws", "stream"]))
def test_no_octets_whatever_break_the_edge(frames: list[bytes], interface: str) -> None:
    world = streaming()
    peer = connected(world, interface)
    for frame in frames:
        peer.sends(frame)
    world.run_out()
    assert world.edge.open_connections() == 0
    healthy = connected(world, interface, 2)
    healthy.request("OPTIONS")
    assert healthy.statuses() == [200]
