"""CANCEL in every race (RFC 3261 §9, §16.10)."""

from __future__ import annotations

import pytest

from engine.notes import CallAnswered, CallFailed
from tests.engine.harness import Exchange, NodePeer, World
from tests.engine.proxy.scripts import Pausing, Serial


def ringing(world: World, status: int = 180) -> tuple[Exchange, NodePeer]:
    call = world.caller.invite()
    node = world.called()
    node.answer(status)
    return call, node


def at_rest(world: World) -> bool:
    """Nothing is left of the call, neither transactions nor channels."""
    world.run_out()
    return (
        not world.edge.open_transactions()
        and world.edge.idle
        and not any(used for node in world.nodes for used in world.status(node.name).in_use.values())
    )


@pytest.mark.parametrize("status", [100, 180, 183])
def test_after_a_provisional_response_the_cancel_goes_on_at_once(status: int) -> None:
    world = World()
    call, node = ringing(world, status)
    call.cancel()
    assert call.cancel_statuses == [200]
    cancel, invite = node.got("CANCEL")[0], node.got("INVITE")[0]
    assert cancel.branch == invite.branch
    assert (cancel.uri, cancel["from"], cancel["to"], cancel["call-id"]) == (
        invite.uri,
        invite["from"],
        invite["to"],
        invite["call-id"],
    )
    assert cancel["cseq"] == "1 CANCEL"
    node.answer(200, method="CANCEL")
    node.answer(487)
    assert call.final.status == 487
    assert len(node.got("ACK")) == 1
    call.refuse_ack()
    assert at_rest(world)


def test_before_any_answer_the_cancel_waits_for_one() -> None:
    world = World()
    call = world.caller.invite()
    node = world.called()
    call.cancel()
    assert call.cancel_statuses == [200]
    assert node.got("CANCEL") == []
    node.answer(100)
    assert len(node.got("CANCEL")) == 1
    node.answer(487)
    assert call.final.status == 487
    assert at_rest(world)


def test_before_any_answer_and_none_ever_comes() -> None:
    world = World()
    call = world.caller.invite()
    call.cancel()
    world.advance(0.6)
    assert call.final.status == 487
    others = [node for node in world.nodes if not node.inbox]
    assert len(others) == 1, "a call that nobody wants any more tries no further node"
    assert at_rest(world)


def test_before_any_answer_and_the_answer_is_200() -> None:
    """§9.1: the 200 won the race; the caller gets it and hangs up."""
    world = World()
    call = world.caller.invite()
    node = world.called()
    call.cancel()
    node.answer(200)
    assert call.final.status == 200
    assert node.got("CANCEL") == []
    assert world.edge.open_dialogs() == 1


def test_a_200_that_crosses_the_cancel_goes_to_the_caller() -> None:
    world = World()
    call, node = ringing(world)
    call.cancel()
    node.answer(200)
    node.answer(481, method="CANCEL")
    assert call.final.status == 200
    assert len(world.told(CallAnswered)) == 1
    call.ack()
    call.bye()
    node.answer(200, method="BYE")
    assert at_rest(world)


def test_after_the_200_a_cancel_changes_nothing() -> None:
    world = World()
    call = world.caller.invite()
    node = call.establish()
    call.cancel()
    assert call.cancel_statuses == [200]
    assert node.got("CANCEL") == []
    assert world.edge.open_dialogs() == 1


def test_after_a_failure_a_cancel_changes_nothing() -> None:
    world = World()
    call = world.caller.invite()
    world.called().answer(486)
    call.cancel()
    assert call.statuses == [100, 486]
    assert call.cancel_statuses == [200]


def test_a_486_that_crosses_the_cancel_does_not_send_the_call_on() -> None:
    world = World()
    call, node = ringing(world)
    call.cancel()
    node.answer(486)
    assert call.final.status == 487
    assert sum(len(each.got("INVITE")) for each in world.nodes) == 1


def test_a_503_that_crosses_the_cancel_does_not_send_the_call_on() -> None:
    world = World()
    call, node = ringing(world)
    call.cancel()
    node.answer(503)
    assert call.final.status == 487
    assert sum(len(each.got("INVITE")) for each in world.nodes) == 1


def test_a_repeated_cancel_is_answered_again_and_sent_on_once() -> None:
    world = World()
    call, node = ringing(world)
    call.cancel()
    world.advance(0.1)
    call.cancel()
    assert call.cancel_statuses == [200, 200]
    assert len(node.got("CANCEL")) == 1


def test_a_cancel_of_nothing_gets_481() -> None:
    world = World()
    stranger = Exchange(world.caller, "INVITE", "sip:9196@192.0.2.1")
    stranger.cancel()
    assert stranger.cancel_statuses == [481]


def test_a_cancel_from_elsewhere_under_another_branch_gets_481() -> None:
    world = World()
    call, node = ringing(world)
    call.via = call.via.replace("branch=", "branch=z9hG4bKother")
    call.cancel()
    assert call.cancel_statuses == [481]
    assert node.got("CANCEL") == []


def test_the_reason_is_passed_on() -> None:
    """RFC 3326: "answered elsewhere" keeps a phone from showing a missed call."""
    world = World()
    call, node = ringing(world)
    call.cancel('Reason: SIP ;cause=200 ;text="Call completed elsewhere"')
    assert node.got("CANCEL")[0]["reason"] == 'SIP ;cause=200 ;text="Call completed elsewhere"'


def test_while_the_policy_pauses() -> None:
    policy = Pausing(3.0)
    world = World(policy=policy)
    call = world.caller.invite()
    world.advance(1.0)
    call.cancel()
    assert call.final.status == 487
    assert call.final.at == 1.0
    assert policy.wanted == [False]
    assert not any(node.inbox for node in world.nodes)
    assert at_rest(world)


def test_between_two_attempts() -> None:
    world = World(policy=Serial())
    call = world.caller.invite()
    world.advance(0.6)
    world.node("FS2").answer(180)
    call.cancel()
    assert len(world.node("FS2").got("CANCEL")) == 1
    assert world.node("FS1").got("CANCEL") == []  # it never said a word
    world.node("FS2").answer(487)
    assert call.final.status == 487


def test_a_node_that_ignores_the_cancel_is_waited_for_64_t1_and_no_longer() -> None:
    """§9.1: as a UAS of RFC 2543 does."""
    world = World()
    call, node = ringing(world)
    call.cancel()
    node.answer(200, method="CANCEL")
    world.advance(32)
    assert call.final.status == 487
    assert call.final.at == 32
    assert at_rest(world)


def test_a_cancelled_call_is_told_as_failed_once() -> None:
    world = World()
    call, node = ringing(world)
    call.cancel()
    node.answer(487)
    world.run_out()
    assert [note.status for note in world.told(CallFailed)] == [487]


def test_a_cancel_takes_the_way_of_a_nodes_call_too() -> None:
    world = World()
    node = world.node("FS1")
    call = node.invite("sip:1000@198.51.100.7:5060", "Route: <sip:10.0.0.1;lr>, <sip:192.0.2.1;lr>")
    invite = world.caller.got("INVITE")[0]
    world.caller.replies(invite, 180, tag="u")
    call.cancel()
    assert call.cancel_statuses == [200]
    assert world.caller.got("CANCEL")[0].branch == invite.branch


def test_a_cancel_is_hop_by_hop_and_ours_is_repeated_by_our_own_timer() -> None:
    world = World()
    call, node = ringing(world)
    call.cancel()
    world.advance(4)
    assert [wire.at for wire in node.got("CANCEL")] == [0, 0.5, 1.5, 3.5]
