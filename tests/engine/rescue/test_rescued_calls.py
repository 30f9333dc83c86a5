"""A conversation goes on when its node dies, and ends when one of the two hangs up."""

from __future__ import annotations

import pytest

from engine.media.rules import MediaPacket
from engine.notes import CallNotRescued, CallRescued, RescuedCallEnded
from tests.engine.harness import World
from tests.engine.media.relay import read, rtp
from tests.engine.media.written import BARESIP
from tests.engine.rescue.conversations import MARK, ONE, OTHER, Conversation, in_dialog, rescuing


def test_the_media_of_two_agents_are_joined_when_their_node_dies() -> None:
    world = rescuing()
    conversation = Conversation(world)
    near, far = conversation.ports
    world.happen(MediaPacket(near, (ONE[0], 16_906), rtp()))
    world.happen(MediaPacket(far, (OTHER[0], 16_906), rtp()))
    conversation.dies()
    (told,) = world.told(CallRescued)
    assert (told.call_id, told.other_call_id) == (conversation.call.call_id, conversation.leg.call_id)
    one, other = world.media.rules[near], world.media.rules[far]
    assert one.rtp is not None
    assert other.rtp is not None
    assert (one.rtp.port, other.rtp.port) == (far, near)
    assert one.rtp.target == (OTHER[0], 16_906)
    assert other.rtp.target == (ONE[0], 16_906)
    assert {port.interface for port in world.media.bound} == {"public"}  # nothing is left towards the node
    assert world.edge.relayed_calls() == 1


@pytest.mark.parametrize("caller_ends", [True, False])
def test_when_one_hangs_up_the_other_is_told_in_the_nodes_name(caller_ends: bool) -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.dies()
    if caller_ends:
        conversation.call.bye()
        (bye,) = in_dialog(conversation.b, "BYE")
        assert bye["from"] == conversation.invited["from"]
        assert bye["to"].endswith(conversation.b.tag_for(conversation.invited))
        assert int(bye["cseq"].split()[0]) > int(conversation.invited["cseq"].split()[0])
        conversation.b.replies(bye, 200)
    else:
        conversation.b.bye(conversation.invited)
        (bye,) = in_dialog(conversation.a, "BYE")
        assert bye["from"] == conversation.call.final["to"]
        assert bye["to"] == conversation.call.final["from"]
        conversation.a.replies(bye, 200)
    assert bye["call-id"] == (conversation.leg if caller_ends else conversation.call).call_id
    (ended,) = world.told(RescuedCallEnded)
    assert ended.why == "bye"
    assert not world.media.bound
    world.run_out()
    assert world.edge.rescued_dialogs() == world.edge.relayed_calls() == world.edge.open_dialogs() == 0


def test_hold_and_resume_are_answered_for_the_other_agent() -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.dies()
    near, far = conversation.ports
    for number, direction in ((2, b"sendonly"), (3, b"sendrecv")):
        offer = BARESIP.replace(b"a=sendrecv", b"a=" + direction)
        conversation.a.within("INVITE", conversation.call.final, cseq=number, body=offer)
        answer = [wire for wire in conversation.a.inbox if wire["cseq"] == f"{number} INVITE"][-1]
        assert answer.status == 200
        assert read(answer.body).address == ("192.0.2.1", near.number)
        conversation.a.within("ACK", conversation.call.final, cseq=number)
        assert (world.media.rules[far].rtp is None) == (direction == b"sendonly")
    assert not conversation.node.got("INVITE")[1:]


def test_requests_that_waited_for_the_dead_node_are_answered_in_its_place() -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.node.alive = False
    bye = conversation.call.bye()
    assert not [wire for wire in conversation.a.inbox if wire["cseq"] == bye["cseq"]]
    conversation.node.unreachable()
    assert [w.status for w in conversation.a.inbox if w["cseq"] == bye["cseq"]] == [200]
    assert in_dialog(conversation.b, "BYE")


def test_the_mark_reaches_the_node_and_no_agent() -> None:
    world = rescuing()
    conversation = Conversation(world, lines=("X-Siptwin-Leg: forged",))
    assert conversation.asked[MARK] != "forged"
    assert MARK not in conversation.invited


def test_without_proof_nobody_is_joined_and_both_are_told_of_the_end() -> None:
    world = rescuing()
    conversation = Conversation(world, marked=False)
    conversation.dies()
    assert not world.told(CallRescued)
    assert {note.why for note in world.told(CallNotRescued)} == {"no other call bears its mark"}
    for agent in (conversation.a, conversation.b):
        (bye,) = in_dialog(agent, "BYE")
        assert "cause=27" in bye["reason"]
    assert world.edge.relayed_calls() == 0
    assert not world.media.bound


def test_a_transferred_call_is_not_taken_for_the_old_conversation() -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.a.within("REFER", conversation.call.final, "Refer-To: <sip:9196@192.0.2.1>", cseq=2)
    conversation.node.answer(202, method="REFER", tag=None)
    conversation.dies()
    assert not world.told(CallRescued)


def test_a_call_to_an_application_may_be_held() -> None:
    world: World = rescuing("hold")
    call = world.caller.invite()
    node = call.establish()
    call.ack()
    node.alive = False
    node.unreachable()
    assert not world.caller.got("BYE")
    bye = call.bye()
    assert [w.status for w in world.caller.inbox if w["cseq"] == bye["cseq"]] == [200]
