"""TCP in and out: framing, keep-alives, limits (RFC 3261 §18.3; RFC 5626 §3.5.1)."""

from __future__ import annotations

import pytest

from engine.config import LimitsConfig
from engine.notes import MessageDropped
from tests.engine.harness import Peer, World, node


def phone(world: World, number: int = 1) -> Peer:
    peer = world.peer("198.51.100.20", 40_000 + number, "stream", number)
    peer.opens()
    return peer


OPTIONS = phone(World()).request("OPTIONS").data()


def test_a_call_over_tcp_reaches_a_node_over_udp_and_back() -> None:
    world = World()
    call = phone(world).invite()
    chosen = world.called()
    inner, outer = chosen.got("INVITE")[0].all("record-route")
    assert inner == "<sip:10.0.0.1:5060;lr;r2=on;ftag=f1>"
    assert outer.endswith("@192.0.2.1:5060;transport=tcp;lr;r2=on;ftag=f1>")
    chosen.answer(200)
    call.ack()
    assert call.statuses == [100, 200]
    assert len(chosen.got("ACK")) == 1


def test_responses_go_back_on_the_connection_that_the_request_came_on() -> None:
    world = World()
    first, second = phone(world, 1), phone(world, 2)
    second.invite()
    assert first.inbox == []
    assert second.inbox[0].flow.stream == 2


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_pieces_of_any_size_make_the_same_messages(size: int) -> None:
    world = World()
    peer = phone(world)
    data = OPTIONS
    data += b"\r\n\r\n" + data.replace(b"z9hG4bKc1", b"z9hG4bKc2")
    for start in range(0, len(data), size):
        peer.sends(data[start : start + size])
    assert peer.statuses("OPTIONS") == [200, 200]


def test_a_ping_gets_a_pong() -> None:
    world = World()
    peer = phone(world)
    peer.sends(b"\r\n\r\n")
    assert [wire.data for wire in world.sent] == [b"\r\n"]


def test_a_body_is_cut_by_its_content_length() -> None:
    world = World()
    peer = phone(world)
    first = peer.invite(body="v=0\r\n")
    second = peer.invite(body="")
    assert first.statuses == second.statuses == [100]


def test_a_message_beyond_the_limit_is_answered_and_the_connection_closed() -> None:
    world = World(limits=LimitsConfig(message_bytes=2000))
    peer = phone(world)
    call = peer.invite(body="x" * 3000)
    assert call.statuses == [513]
    assert world.closed == [peer.flow]


def test_a_head_without_end_is_not_kept() -> None:
    world = World(limits=LimitsConfig(message_bytes=2000))
    peer = phone(world)
    for _ in range(30):
        peer.sends(b"X: " + b"y" * 100 + b"\r\n")
    assert world.closed[:1] == [peer.flow]
    assert world.told(MessageDropped)


def test_what_is_not_sip_closes_the_connection() -> None:
    world = World()
    peer = phone(world)
    peer.sends(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert world.closed == [peer.flow]


def test_messages_before_the_fault_are_worked_on() -> None:
    world = World()
    peer = phone(world)
    peer.sends(OPTIONS + b"nonsense\r\n\r\n")
    assert peer.statuses("OPTIONS") == [200]
    assert world.closed == [peer.flow]


def test_a_node_over_tcp() -> None:
    world = World(nodes=[node("FS1", transport="tcp", interface="stream")])
    call = world.caller.invite()
    chosen = world.node("FS1")
    invite = chosen.got("INVITE")[0]
    assert invite.flow.stream == 0  # over any connection to it, else a new one
    assert invite.all("via")[0].startswith("SIP/2.0/TCP 192.0.2.1:5060")
    world.advance(0.5)
    assert len(chosen.got("INVITE")) == 1  # nothing is repeated on a stream
    chosen.flow = chosen.flow._replace(stream=9)
    chosen.opens(accepted=False)
    chosen.answer(200)
    assert call.final.status == 200


def test_a_connection_that_cannot_be_made_sends_the_call_to_the_next_node() -> None:
    world = World(nodes=[node("FS1", transport="tcp", interface="stream", priority=1), "FS2"])
    call = world.caller.invite()
    world.node("FS1").unreachable("connection refused")
    world.node("FS2").answer(200)
    assert call.final.status == 200
    assert world.state("FS1") == "down"
