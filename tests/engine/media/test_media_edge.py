"""The built-in relay in an edge: calls get ports, rules and an end with a figure, and leave nothing behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.boundary import Datagram, Interface
from engine.config import MediaInterface, RelayConfig
from engine.media.profiles import PROFILES
from engine.media.rules import DtlsEnded, MediaPacket, MediaStats, Port, PortsFailed
from engine.notes import (
    MediaDropped,
    MediaEnded,
    MediaFailed,
    MediaFound,
    MediaPortsPassedOver,
    MediaRefused,
    MediaSilent,
    MediaTimedOut,
    OneWayAudio,
    Overloaded,
)
from tests.engine.harness import INTERFACES, Exchange, NodePeer, World
from tests.engine.media.relay import OURS, PHONE, read, rtp
from tests.engine.media.written import BARESIP, BROWSER, crlf
from tests.engine.proxy.scripts import Parallel
from tests.engine.wire import reply

NODE = crlf("""
v=0
o=FreeSWITCH 1 2 IN IP4 10.0.0.11
s=FreeSWITCH
c=IN IP4 10.0.0.11
t=0 0
m=audio 20000 RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
""")
RELAY = RelayConfig(
    interfaces=(
        MediaInterface(name="public", host="192.0.2.1", low=30_000, high=30_099, serves=("outside", "web")),
        MediaInterface(name="private", host="10.0.0.1", low=30_000, high=30_099, serves=("inside",)),
    ),
    fingerprint=bytes(OURS).decode(),
)
WEB = Interface(name="web", transport="wss", host="192.0.2.1", port=443)
STRANGER = ("192.0.2.66", 6_666)


def relayed(**settings: object) -> World:
    return World(relay=RELAY, interfaces=(*INTERFACES, WEB), **settings)  # type: ignore[arg-type]


def established(world: World) -> tuple[Exchange, NodePeer, Port, Port]:
    """A call of a softphone through a node, and our ports towards the two."""
    call = world.caller.invite(body=BARESIP)
    chosen = world.called()
    asked = chosen.got("INVITE")[-1]
    chosen.answer(200, body=NODE)
    call.ack()
    near, far = read(call.final.body).address, read(asked.body).address
    assert near is not None
    assert far is not None
    assert (near[0], far[0]) == ("192.0.2.1", "10.0.0.1")
    return call, chosen, Port("public", near[1]), Port("private", far[1])


def ended(call: Exchange, chosen: NodePeer) -> None:
    call.bye()
    chosen.answer(200, method="BYE")


def heard(port: Port, packets: int, silent_s: float = 0.0) -> MediaStats:
    return MediaStats(port, packets, packets * 160, packets // 50, 5.0, 40.0, silent_s, 0)


def test_a_call_has_its_ports_from_the_interfaces_that_its_sides_see() -> None:
    world = relayed()
    call, chosen, near, far = established(world)
    assert world.media.rules[near].rtp is not None
    assert world.media.rules[far].rtp is not None
    assert world.edge.relayed_calls() == 1
    ended(call, chosen)
    assert not world.media.bound
    assert world.edge.relayed_calls() == 0


def test_a_browser_and_a_node_are_each_told_what_they_can_take() -> None:
    world = relayed()
    browser = world.peer("198.51.100.9", 50_000, "web", stream=1)
    browser.opens()
    call = browser.invite(body=BROWSER)
    chosen = world.called()
    (asked,) = chosen.got("INVITE")
    assert read(asked.body).profile == PROFILES["rtp"]
    chosen.answer(200, body=NODE)
    assert read(call.final.body).profile == PROFILES["webrtc"]
    assert read(call.final.body).fingerprints == (OURS,)


def test_media_are_found_once_and_then_strangers_are_not_heard() -> None:
    world = relayed()
    _, _, near, _ = established(world)
    world.happen(MediaPacket(near, ("198.51.100.7", 50_000), rtp()))
    assert world.media.rules[near].sources == {("198.51.100.7", 50_000)}
    (found,) = [note for note in world.told(MediaFound) if note.side == "caller"]
    assert (found.source, found.told) == ("198.51.100.7:50000", "192.168.1.15:16906")
    world.happen(MediaPacket(near, STRANGER, rtp()))
    world.happen(MediaPacket(Port("public", 30_098), STRANGER, rtp()))
    world.advance(1.0)
    assert {(note.why, note.count) for note in world.told(MediaDropped)} >= {("media from elsewhere", 1)}
    assert world.media.rules[near].sources == {("198.51.100.7", 50_000)}


def test_a_source_that_nobody_told_of_is_believed_after_its_window_by_the_edges_own_timer() -> None:
    world = relayed()
    _, _, near, _ = established(world)
    for _ in range(6):
        world.happen(MediaPacket(near, PHONE, rtp()))
        world.advance(0.02)
    assert world.media.rules[near].sources == frozenset()
    world.advance(0.5)
    assert world.media.rules[near].sources == {PHONE}


def test_the_end_of_a_call_tells_how_each_side_was_heard() -> None:
    world = relayed()
    call, chosen, near, far = established(world)
    world.advance(10.0)
    world.happen(heard(near, 500))
    world.happen(heard(far, 400))
    ended(call, chosen)
    one, other = sorted(world.told(MediaEnded), key=lambda note: note.side)
    assert (one.side, one.packets, one.lost, one.codec) == ("callee", 400, 8, "pcmu")
    assert (other.side, other.packets, other.lost, other.round_trip_ms) == ("caller", 500, 10, 40.0)
    assert other.duration_s == pytest.approx(10.0)
    assert 3.5 < other.mos < 4.4


def test_a_call_that_nobody_answered_tells_nothing_and_keeps_nothing() -> None:
    world = relayed()
    world.caller.invite(body=BARESIP)
    world.called().answer(486)
    assert world.told(MediaEnded) == []
    assert not world.media.bound
    assert world.edge.relayed_calls() == 0


def test_silence_and_one_way_audio_are_told_once() -> None:
    world = relayed()
    _, _, near, far = established(world)
    world.advance(6.0)
    world.happen(heard(near, 500))
    world.happen(heard(far, 0, silent_s=6.0))
    world.happen(heard(near, 500))
    world.happen(heard(far, 0, silent_s=11.0))
    assert [(note.side, note.began) for note in world.told(MediaSilent)] == [("callee", True)]
    assert [note.heard for note in world.told(OneWayAudio)] == ["caller"]
    world.happen(heard(far, 100))
    assert [(note.side, note.began) for note in world.told(MediaSilent)][1:] == [("callee", False)]


def test_silence_on_hold_is_nobodys_fault() -> None:
    world = relayed()
    call, chosen, near, far = established(world)
    held = BARESIP.replace(b"a=sendrecv", b"a=sendonly")
    world.caller.within("INVITE", call.final, cseq=2, body=held)
    chosen.answer(200, body=NODE + b"a=recvonly\r\n")
    world.advance(60.0)
    world.happen(heard(near, 500))
    world.happen(heard(far, 0, silent_s=60.0))
    assert world.told(OneWayAudio) == []
    assert world.told(MediaSilent) == []


def test_after_a_hold_a_side_gets_its_time_to_speak_again() -> None:
    world = relayed()
    call, chosen, near, far = established(world)
    held = BARESIP.replace(b"a=sendrecv", b"a=sendonly")
    world.caller.within("INVITE", call.final, cseq=2, body=held)
    chosen.answer(200, body=NODE + b"a=recvonly\r\n")
    world.advance(60.0)
    world.caller.within("INVITE", call.final, cseq=3, body=BARESIP)
    chosen.answer(200, body=NODE)
    world.advance(2.0)
    world.happen(heard(near, 500))
    world.happen(heard(far, 0, silent_s=62.0))
    assert world.told(MediaSilent) == []
    world.advance(4.0)
    world.happen(heard(far, 0, silent_s=66.0))
    assert [(note.side, note.silent_s) for note in world.told(MediaSilent)] == [("callee", 6.0)]


def test_a_call_in_which_nobody_speaks_gives_its_ports_back_and_gets_others_with_its_next_offer() -> None:
    world = relayed()
    call, chosen, near, far = established(world)
    world.advance(4000.0)
    world.happen(heard(near, 0, silent_s=4000.0))
    world.happen(heard(far, 0, silent_s=4000.0))
    assert [note.silent_s for note in world.told(MediaTimedOut)] == [4000.0]
    assert not world.media.bound
    world.caller.within("INVITE", call.final, cseq=2, body=BARESIP)
    assert read(chosen.got("INVITE")[-1].body).address is not None
    chosen.answer(200, body=NODE)
    assert world.media.bound
    ended(call, chosen)
    assert not world.media.bound
    assert world.edge.relayed_calls() == 0


def test_without_free_ports_a_call_is_refused_and_the_end_of_the_shortage_is_told() -> None:
    narrow = tuple(replace(each, high=30_001) for each in RELAY.interfaces)
    world = World(relay=replace(RELAY, interfaces=narrow), interfaces=(*INTERFACES, WEB), nodes=("FS1",))
    first, chosen, _, _ = established(world)
    second = world.caller.invite(body=BARESIP)
    assert second.statuses == [100, 503]
    assert "retry-after" in second.final
    assert [(note.status, note.message) for note in world.told(MediaRefused)] == [(503, "INVITE")]
    assert [(note.what, note.began) for note in world.told(Overloaded)] == [("media ports of public", True)]
    ended(first, chosen)
    world.advance(6.0)  # ports rest
    established(world)
    assert [note.began for note in world.told(Overloaded)] == [True, False]


def test_an_offer_in_the_2xx_is_answered_by_the_ack_and_by_each_repetition_of_it() -> None:
    world = relayed()
    call = world.caller.invite()
    chosen = world.called()
    chosen.answer(200, body=NODE)
    offered = read(call.final.body).address
    assert offered is not None
    assert offered[0] == "192.0.2.1"
    call.ack(body=BARESIP)
    chosen.answer(200, body=NODE)  # the ACK was lost beyond the edge
    call.ack(body=BARESIP)
    one, other = chosen.got("ACK")
    assert one.body == other.body
    assert read(one.body).address is not None
    assert world.media.rules[Port("public", offered[1])].rtp is not None


def test_each_branch_of_a_fork_has_ports_of_its_own_and_the_losers_give_theirs_back() -> None:
    world = relayed(policy=Parallel())
    call = world.caller.invite(body=BARESIP)
    asked = [each.got("INVITE")[0] for each in world.nodes]
    ports = {read(each.body).address for each in asked}
    assert len(ports) == 2
    assert len(world.media.bound) == 8  # two pairs a branch
    for each in world.nodes:
        each.answer(180)
    first, second = world.nodes
    first.answer(200, body=NODE)
    second.answer(487)
    call.ack()
    assert len(world.media.bound) == 4
    assert world.edge.relayed_calls() == 1


def test_the_next_node_is_offered_anew_when_one_is_silent() -> None:
    world = relayed(options={"timeout_s": 0.6})
    call = world.caller.invite(body=BARESIP)
    first = world.called()
    world.advance(0.7)
    second = world.called()
    assert read(first.got("INVITE")[0].body).address != read(second.got("INVITE")[0].body).address
    second.answer(200, body=NODE)
    call.ack()
    world.run_out()
    assert world.edge.relayed_calls() == 1
    assert len(world.media.bound) == 4


def test_a_failed_port_or_hand_shake_is_told_with_its_side() -> None:
    world = relayed()
    _, _, near, far = established(world)
    world.happen(PortsFailed(near, "address in use"))
    world.happen(DtlsEnded(far, "certificate"))
    world.happen(DtlsEnded(far))
    assert [(note.side, note.why) for note in world.told(MediaFailed)] == [
        ("caller", "port: address in use"),
        ("callee", "DTLS: certificate"),
    ]


def test_a_data_plane_that_owes_its_last_word_is_not_waited_for_for_ever() -> None:
    world = relayed()
    call, chosen, _, _ = established(world)
    call.bye()
    request = chosen.got("BYE")[-1]
    assert world.edge.receive(Datagram(chosen.flow, reply(request, 200)), world.now)  # no MediaStats follow
    assert world.edge.relayed_calls() == 1
    world.edge.tick(world.now + 2.0)
    assert world.edge.relayed_calls() == 0


def test_ports_that_something_else_has_cost_no_call() -> None:
    world = relayed()
    busy = set(range(30_000, 30_080))
    world.edge.ask_for_ports(lambda interface, port: interface == "private" or port not in busy)
    _, _, outside, _ = established(world)
    assert outside.number >= 30_080
    world.advance(1.0)
    (told,) = world.told(MediaPortsPassedOver)
    assert (told.interface, told.why) == ("public", "in use by something else")
    assert world.told(MediaFailed) == []
