"""An edge whose rtpengine dies asks both sides of each call anew, and counts on from there."""

from __future__ import annotations

import pytest

from engine.boundary import CallOrder
from engine.notes import MediaMoved, MediaNotMoved, RelayStateChanged
from tests.engine.harness import Exchange, NodePeer
from tests.engine.media.ng.relay_world import RelayWorld
from tests.engine.media.relay import read
from tests.engine.media.test_media_edge import NODE
from tests.engine.media.written import BARESIP
from tests.engine.wire import Wire


def established(world: RelayWorld) -> tuple[Exchange, NodePeer]:
    call = world.caller.invite(body=BARESIP)
    chosen = world.called()
    chosen.answer(200, body=NODE)
    call.ack()
    return call, chosen


def asked(chosen: NodePeer) -> int:
    """How many INVITEs it had, however often repeated."""
    return len({wire["cseq"] for wire in chosen.got("INVITE")})


def host_of(message: Wire) -> str:
    address = read(message.body).address
    assert address is not None
    return address[0]


def renewed(world: RelayWorld, chosen: NodePeer) -> tuple[Wire, Wire]:
    """The re-INVITEs to the node and to the caller, both answered."""
    to_node = chosen.got("INVITE")[-1]
    chosen.replies(to_node, 200, body=NODE)
    to_caller = world.caller.got("INVITE")[-1]
    world.caller.replies(to_caller, 200, body=BARESIP)
    return to_node, to_caller


def test_both_sides_are_asked_in_the_name_of_the_other_and_told_of_the_new_relay() -> None:
    world = RelayWorld()
    call, chosen = established(world)
    assert host_of(call.final) == "203.0.113.1"
    world.kill(1)
    to_node, to_caller = renewed(world, chosen)
    first = chosen.got("INVITE")[0]
    assert (to_node["from"], to_node["call-id"]) == (first["from"], first["call-id"])
    assert to_node["to"] == call.final["to"]
    assert to_node["contact"] == first["contact"]
    assert to_node["cseq"] == "2 INVITE"
    assert (to_caller["from"], to_caller["to"]) == (call.final["to"], call.final["from"])
    assert (host_of(to_node), host_of(to_caller)) == ("10.9.0.2", "203.0.113.2")
    assert [wire["cseq"] for wire in chosen.got("ACK")] == ["1 ACK", "2 ACK"]
    assert world.caller.got("ACK")[-1]["cseq"] == "1 ACK"
    assert world.told(MediaMoved) == [MediaMoved(call.call_id, "rtp1", "rtp2")]
    assert [note.after for note in world.told(RelayStateChanged)] == ["down"]


def test_what_the_sides_send_later_is_counted_on_and_its_answers_counted_back() -> None:
    world = RelayWorld()
    call, chosen = established(world)
    world.kill(1)
    renewed(world, chosen)
    caller = world.caller
    caller.within("INVITE", call.final, cseq=2, body=BARESIP)
    passed = chosen.got("INVITE")[-1]
    assert passed["cseq"] == "3 INVITE"
    chosen.replies(passed, 200, body=NODE)
    (answer,) = [wire for wire in caller.inbox if not wire.is_request and wire["cseq"] == "2 INVITE"][-1:]
    assert answer.status == 200
    caller.within("ACK", call.final, cseq=2)
    assert chosen.got("ACK")[-1]["cseq"] == "3 ACK"
    caller.within("BYE", call.final, cseq=3)
    bye = chosen.got("BYE")[-1]
    assert bye["cseq"] == "4 BYE"
    chosen.replies(bye, 200)
    assert [wire.status for wire in caller.inbox if not wire.is_request and wire["cseq"] == "3 BYE"] == [200]
    assert world.edge.relayed_calls() == 0


def test_the_callees_requests_are_counted_too() -> None:
    world = RelayWorld()
    _, chosen = established(world)
    world.kill(1)
    renewed(world, chosen)
    bye = chosen.within("BYE", chosen.got("INVITE")[0], cseq=77)
    passed = world.caller.got("BYE")[-1]
    assert passed["cseq"] == "78 BYE"
    world.caller.replies(passed, 200)
    assert [wire["cseq"] for wire in chosen.inbox if not wire.is_request][-1] == "77 BYE"
    assert bye["cseq"] == "77 BYE"


def test_a_2xx_that_is_repeated_changes_nothing() -> None:
    world = RelayWorld()
    call = world.caller.invite(body=BARESIP)
    chosen = world.called()
    for _ in range(3):
        chosen.answer(200, body=NODE)
    assert len({wire.body for wire in call.responses if wire.status == 200}) == 1
    call.ack()
    world.kill(1)
    renewed(world, chosen)
    assert host_of(world.caller.got("INVITE")[-1]) == "203.0.113.2"


def test_an_ack_that_comes_late_goes_with_its_invite() -> None:
    world = RelayWorld()
    call, chosen = established(world)
    caller = world.caller
    caller.within("INVITE", call.final, cseq=2, body=BARESIP)
    chosen.answer(200, body=NODE)
    world.kill(1)
    renewed(world, chosen)
    caller.within("ACK", call.final, cseq=2)
    assert chosen.got("ACK")[-1]["cseq"] == "2 ACK"


@pytest.mark.parametrize("status", [491, 500])
def test_a_side_that_refuses_is_asked_again(status: int) -> None:
    world = RelayWorld()
    _, chosen = established(world)
    world.kill(1)
    chosen.answer(status)
    assert chosen.got("ACK")[-1]["cseq"] == "2 ACK"
    world.advance(2.5)
    to_node, to_caller = renewed(world, chosen)
    assert to_node["cseq"] == "3 INVITE"
    assert host_of(to_caller) == "203.0.113.2"
    assert not world.told(MediaNotMoved)


@pytest.mark.parametrize("status", [481, 408])
def test_a_side_that_is_gone_is_left_alone(status: int) -> None:
    world = RelayWorld()
    call, chosen = established(world)
    world.kill(1)
    chosen.answer(status)
    world.advance(60.0)
    assert asked(chosen) == 2
    assert world.told(MediaNotMoved) == [MediaNotMoved(call.call_id, f"answered {status}")]


def test_asking_again_ends() -> None:
    world = RelayWorld()
    _, chosen = established(world)
    world.kill(1)
    for times in range(2, 6):
        assert asked(chosen) == times
        chosen.answer(488)
        world.advance(1.0)
    world.advance(60.0)
    assert asked(chosen) == 5
    assert len(world.told(MediaNotMoved)) == 1


def test_a_side_that_offers_itself_has_moved_the_call() -> None:
    world = RelayWorld()
    call, chosen = established(world)
    world.dead.add(("10.0.0.1", 2_223))
    world.caller.within("INVITE", call.final, cseq=2, body=BARESIP)
    passed = chosen.got("INVITE")[-1]
    assert (passed["cseq"], host_of(passed)) == ("2 INVITE", "10.9.0.2")
    chosen.answer(200, body=NODE)
    world.caller.within("ACK", call.final, cseq=2)
    world.advance(5.0)
    assert len(chosen.got("INVITE")) == 2
    assert world.caller.got("INVITE") == []


def test_a_call_that_rings_is_moved_when_it_is_answered() -> None:
    world = RelayWorld()
    call = world.caller.invite(body=BARESIP)
    chosen = world.called()
    chosen.answer(183, body=NODE)
    world.kill(1)
    assert len(chosen.got("INVITE")) == 1
    chosen.answer(200, body=NODE)
    assert host_of(call.final) == "203.0.113.2"
    call.ack()
    world.advance(0.5)
    renewed(world, chosen)
    assert host_of(chosen.got("INVITE")[-1]) == "10.9.0.2"


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_an_offer_that_was_never_answered_stands_in_the_way_of_no_later_one(method: str) -> None:
    world = RelayWorld()
    call, chosen = established(world)
    world.caller.within(method, call.final, cseq=2, body=BARESIP)
    world.advance(40.0)
    world.caller.within("INVITE", call.final, cseq=3, body=BARESIP)
    passed = chosen.got("INVITE")[-1]
    assert passed["cseq"] == "3 INVITE"
    chosen.replies(passed, 200, body=NODE)
    assert [wire.status for wire in world.caller.inbox if not wire.is_request and wire["cseq"] == "3 INVITE"][
        -1:
    ] == [200]


def test_an_operator_who_ends_a_call_that_was_moved_is_answered_in_the_numbers_of_now() -> None:
    world = RelayWorld()
    call, chosen = established(world)
    world.kill(1)
    to_node, to_caller = renewed(world, chosen)
    world.happen(CallOrder(call.call_id, "end"))
    (bye,) = chosen.got("BYE")
    assert (bye["cseq"], bye["from"]) == ("3 BYE", to_node["from"])
    (bye,) = world.caller.got("BYE")
    assert bye["from"] == to_caller["from"]
    assert int(bye["cseq"].split()[0]) == int(to_caller["cseq"].split()[0]) + 1
    assert world.edge.relayed_calls() == 0
