"""What rtpengines measure of a call is told at its end, as by the built-in relay: packets, loss, jitter, MOS."""

from __future__ import annotations

import time

from hypothesis import given

from engine.media.mos import mos, rating
from engine.media.ng import commands
from engine.media.ng.bencode import Value
from engine.media.ng.commands import CallName
from engine.media.ng.statistics import Statistics, read_statistics
from engine.notes import MediaEnded
from tests.engine.media.ng.relaying import NOTHING, Call, Modelled, Real, Relaying
from tests.engine.media.ng.speakers import Speaker, speakers
from tests.engine.media.ng.test_ng_bencode import VALUES
from tests.engine.media.ng.test_ng_failover import set_up
from tests.engine.media.ng.test_ng_relay import process
from tests.engine.media.relay import read
from tests.engine.media.written import BARESIP
from tests.live.peers import rtpengine

__all__ = ["process"]  # a fixture

NAME = CallName("call")
PATIENCE_S = 5.0


def sides(world: Relaying) -> tuple[MediaEnded, MediaEnded]:
    one, other = sorted(world.of(MediaEnded), key=lambda note: note.side)  # type: ignore[attr-defined]
    return other, one  # type: ignore[return-value]


def test_packets_loss_jitter_and_mos_of_each_side_are_told_at_the_end() -> None:
    one = Modelled()
    world = Relaying(one)
    call = world.open("softphone", "node")
    call.told("> INVITE 1", BARESIP)
    call.told("< 200 INVITE 1", BARESIP)
    world.now = 10.0
    one.counted = {
        "outside": NOTHING._replace(packets=90, octets=15_480, lost=10, jitter_ms=4.0, round_trip_ms=60.0),
        "inside": NOTHING._replace(packets=100, octets=17_200, jitter_ms=1.0, round_trip_ms=2.0, dropped=3),
    }
    call.release()
    caller, callee = sides(world)
    expected = mos(rating(30.0 + 1.0 + 8.0, 0.1))
    assert caller == MediaEnded(call.media.call_id, "caller", "pcmu", 10.0, 90, 15_480, 10, 4.0, 60.0, expected, 0)
    assert (callee.packets, callee.lost, callee.round_trip_ms, callee.dropped) == (100, 0, 2.0, 3)


def test_a_moved_call_is_told_as_the_sum_of_where_it_was() -> None:
    one, two = Modelled(1), Modelled(2)
    world = Relaying(one, two)
    call = set_up(world)
    assert call.media.home == "rtp1"
    for number, server in enumerate((one, two), start=1):
        server.counted = {"outside": NOTHING._replace(packets=50 * number, lost=number, round_trip_ms=20.0)}
    world.relay.settle(call.media, world.relay.servers.get("rtp2"), 0.0)  # type: ignore[arg-type]
    call.told("> INVITE 2", BARESIP)
    call.told("< 200 INVITE 2", BARESIP)
    call.release()
    assert sum(note.packets for note in sides(world)) == 150


def test_where_the_end_of_a_call_is_not_answered_nothing_is_made_up() -> None:
    one = Modelled()
    world = Relaying(one)
    call = set_up(world)
    world.dead = {one.address}
    call.release()
    world.run(2.0)
    assert world.of(MediaEnded) == []
    assert len(world.relay) == 0


def test_without_a_report_of_the_other_side_nobody_knows_how_it_was_heard() -> None:
    statistics = Statistics()
    stream: dict[bytes, Value] = {b"flags": [b"RTP"], b"SSRC": 7, b"stats": {b"packets": 5, b"bytes": 860}}
    media: Value = [{b"type": b"audio", b"codec": b"PCMA/8000", b"streams": [stream]}]
    statistics.add(NAME, {b"tags": {b"caller": {b"medias": media}}})
    (told,) = statistics.told("call", 1.0)
    assert (told.side, told.codec, told.packets, told.mos) == ("caller", "pcma", 5, None)


@given(VALUES, VALUES, VALUES)
def test_whatever_an_answer_says_is_read_or_passed_over(tags: Value, media: Value, reports: Value) -> None:
    stream: Value = [{b"type": b"audio", b"streams": media}]
    for answer in ({b"tags": tags}, {b"tags": {b"caller": {b"medias": stream}}, b"SSRC": reports}):
        for measured in read_statistics(NAME, answer).values():
            assert measured.stats.packets >= 0


# --- against rtpengine itself ---------------------------------------------------------------------------------


def test_a_real_one_is_understood(process: rtpengine.Rtpengine) -> None:
    """Of the caller's packets a tenth is lost, as the callee reports; and round trips are seen on both sides."""
    server = Real(process)
    world = Relaying(server)
    with speakers("127.3.0.1", "127.3.0.2") as (caller, callee):
        call: Call = world.open("softphone", "softphone")
        to_callee = read(call.told("> INVITE 1", caller.description())).address
        to_caller = read(call.told("< 200 INVITE 1", callee.description())).address
        assert to_callee is not None
        assert to_caller is not None
        for number in range(100):
            if number % 10:
                caller.speaks(number, to_caller)
            callee.speaks(number, to_callee)
            arrived(callee if number % 10 else caller)
        for each, there in ((caller, to_caller), (callee, to_callee)):
            each.reports(1, there)
        for each in (caller, callee):
            arrived(each, rtcp=True)
        ends_at = time.monotonic() + PATIENCE_S
        while server.ask(commands.query(call.media.call.name)).count(b"lowest MOS") < 2:
            assert time.monotonic() < ends_at
            time.sleep(0.05)  # one report a second is taken, and a MOS needs the round trips of both sides
            callee.reports(1, to_callee, heard=caller.ssrc, at=1, lost=10)
            caller.reports(1, to_caller, heard=callee.ssrc, at=1)
            arrived(caller, rtcp=True)
        call.release()
    heard, other = sides(world)
    assert (heard.codec, heard.packets, heard.octets, heard.lost) == ("pcmu", 90, 90 * 172, 10)
    assert (other.packets, other.lost) == (100, 0)
    assert heard.jitter_ms == other.jitter_ms == 5.0
    assert heard.round_trip_ms is not None
    assert 0.0 < heard.round_trip_ms < 1_000.0 * PATIENCE_S
    assert heard.mos is not None
    assert other.mos is not None
    assert heard.mos < other.mos < 4.4
    assert call.media.call.name.call_id.encode() not in server.ask({"command": "list"})
    server.close()


def arrived(speaker: Speaker, *, rtcp: bool = False) -> bytes:
    """Wait for the next packet: so all before it has been counted."""
    sock = speaker.rtcp if rtcp else speaker.rtp
    sock.settimeout(PATIENCE_S)
    return sock.recv(2_000)
