"""The death of a node where rtpengines relay the media."""

from __future__ import annotations

import pytest

from engine.config import RegistrarConfig, RescueConfig
from engine.notes import CallRescued, MediaEnded, MediaMoved, MediaNotJoined, MediaNotMoved, RescuedCallEnded
from tests.engine.harness import Peer
from tests.engine.media.ng.relay_world import RelayWorld
from tests.engine.media.relay import read
from tests.engine.media.test_media_edge import NODE
from tests.engine.media.written import BARESIP
from tests.engine.registrar.registering import WEB
from tests.engine.rescue.conversations import Conversation, in_dialog
from tests.engine.wire import Wire


def rescuing() -> RelayWorld:
    """An edge with two rtpengines, which rescues."""
    return RelayWorld(rescue=RescueConfig(), registrar=RegistrarConfig(), interfaces=WEB)


def moves(world: RelayWorld, conversation: Conversation, contact_of_a: str) -> None:
    """One rtpengine after another dies and comes back, so that all calls are moved. A answers from elsewhere."""
    peers: tuple[Peer, ...] = (conversation.a, conversation.b, conversation.node)
    known = {peer: len(peer.got("INVITE")) for peer in peers}
    for number in (1, 2):
        world.kill(number)
        for _ in range(2):  # one side is asked after the other has answered
            for peer in peers:
                for asked in peer.got("INVITE")[known[peer] :]:
                    known[peer] += 1
                    lines = (f"Contact: <{contact_of_a}>",) if peer is conversation.a else ()
                    peer.replies(asked, 200, *lines, body=NODE if peer is conversation.node else BARESIP)
        world.revive(number)


def ends(conversation: Conversation, caller_ends: bool) -> Wire:
    """One hangs up; the BYE that the other one gets, and answers."""
    if caller_ends:
        conversation.call.bye()
        (bye,) = in_dialog(conversation.b, "BYE")
        conversation.b.replies(bye, 200)
    else:
        conversation.b.bye(conversation.invited)
        (bye,) = in_dialog(conversation.a, "BYE")
        conversation.a.replies(bye, 200)
    return bye


@pytest.mark.parametrize("caller_ends", [True, False])
def test_the_edge_counts_on_from_what_it_has_asked_itself_and_knows_where_the_agent_answered(
    caller_ends: bool,
) -> None:
    """An agent refuses a BYE whose number is below that of a re-INVITE it has had (RFC 3261 §12.2.2)."""
    world = rescuing()
    conversation = Conversation(world)
    moves(world, conversation, "sip:elsewhere@198.51.100.7:5060")
    assert world.told(MediaMoved)
    conversation.dies()
    bye = ends(conversation, caller_ends)
    agent = conversation.b if caller_ends else conversation.a
    numbers = [int(wire["cseq"].split()[0]) for wire in agent.got("INVITE")]
    assert len(numbers) > 1 - (agent is conversation.a)
    assert int(bye["cseq"].split()[0]) > max(numbers)
    if agent is conversation.a:
        assert bye.start.split()[1] == "sip:elsewhere@198.51.100.7:5060"


@pytest.mark.parametrize("caller_ends", [True, False])
def test_a_conversation_goes_on_at_its_rtpengines_and_leaves_nothing_behind(caller_ends: bool) -> None:
    world = rescuing()
    conversation = Conversation(world)
    known = [len(peer.inbox) for peer in (conversation.a, conversation.b)]
    conversation.dies()
    assert len(world.told(CallRescued)) == 1
    assert world.told(MediaNotJoined) == []
    assert [len(peer.inbox) for peer in (conversation.a, conversation.b)] == known  # nobody noticed
    ends(conversation, caller_ends)
    assert world.told(RescuedCallEnded)[0].why == "bye"
    world.run_out()
    assert [server.machine.calls for server in world.servers.values()] == [0, 0]
    assert world.edge.rescued_dialogs() == world.edge.relayed_calls() == 0
    assert {(note.call_id, note.side) for note in world.told(MediaEnded)} == {
        (call.call_id, side) for call in (conversation.call, conversation.leg) for side in ("caller", "callee")
    }


def test_hold_is_answered_in_the_name_of_the_other_agent_when_the_rtpengine_has_spoken() -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.dies()
    addresses = []
    for number, direction in ((2, b"sendonly"), (3, b"sendrecv")):
        offer = BARESIP.replace(b"a=sendrecv", b"a=" + direction)
        conversation.a.within("INVITE", conversation.call.final, cseq=number, body=offer)
        answer = [wire for wire in conversation.a.inbox if wire["cseq"] == f"{number} INVITE"][-1]
        assert answer.status == 200
        addresses.append(read(answer.body).address)
        assert read(answer.body).direction.attribute == (b"recvonly" if direction == b"sendonly" else b"sendrecv")
        conversation.a.within("ACK", conversation.call.final, cseq=number)
    assert addresses == [read(conversation.call.final.body).address] * 2


def test_a_second_offer_waits_for_the_first_and_an_end_in_between_is_heeded() -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.dies()
    world.silent = set(world.servers)  # for a moment
    conversation.a.within("INVITE", conversation.call.final, cseq=2, body=BARESIP)
    conversation.a.within("UPDATE", conversation.call.final, cseq=3, body=BARESIP)
    assert conversation.a.statuses("UPDATE") == [491]
    conversation.a.within("BYE", conversation.call.final, cseq=4)
    world.silent = set()
    world.run_out()
    assert conversation.a.statuses("BYE") == [200]
    assert conversation.a.statuses("INVITE")[-1] == 481
    assert [server.machine.calls for server in world.servers.values()] == [0, 0]


def test_a_rescued_conversation_outlives_its_rtpengines_too() -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.dies()
    for number, agent in ((1, conversation.a), (2, conversation.b)):
        known = {wire["cseq"] for wire in agent.got("INVITE")}
        world.kill(number)
        (asked,) = [wire for wire in in_dialog(agent, "INVITE") if wire["cseq"] not in known]
        other = list(world.servers.values())[2 - number]
        assert read(asked.body).address[0] == other.outside  # type: ignore[index]
        agent.replies(asked, 200, body=BARESIP)
        assert agent.got("ACK")[-1]["cseq"].split()[0] == asked["cseq"].split()[0]
        world.revive(number)
    assert {note.after for note in world.told(MediaMoved)} == {"rtp1", "rtp2"}
    assert world.told(MediaNotMoved) == world.told(MediaNotJoined) == []
    ends(conversation, True)
    world.run_out()
    assert [server.machine.calls for server in world.servers.values()] == [0, 0]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_that_the_node_died_over_is_answered_when_the_rtpengine_has_spoken(method: str) -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.node.alive = False
    held = BARESIP.replace(b"a=sendrecv", b"a=sendonly")
    for number in (2, 3):  # orders to its rtpengine go on afterwards
        conversation.a.within(method, conversation.call.final, cseq=number, body=held)
        if number == 2:
            conversation.dies()
        answer = [w for w in conversation.a.inbox if w["cseq"] == f"{number} {method}" and w.status >= 200][-1]
        assert answer.status == 200
        assert answer["call-id"] == conversation.call.call_id
        assert read(answer.body).direction.attribute == b"recvonly"
        conversation.a.within("ACK", conversation.call.final, cseq=number)
    conversation.a.within("BYE", conversation.call.final, cseq=4)
    conversation.b.replies(in_dialog(conversation.b, "BYE")[0], 200)
    world.run_out()
    assert [server.machine.calls for server in world.servers.values()] == [0, 0]


def test_an_agent_that_was_asked_something_else_is_told_of_new_ports_when_it_has_answered() -> None:
    world = rescuing()
    conversation = Conversation(world, agreed="Session-Expires: 1800;refresher=uas")
    conversation.dies()
    world.advance(901.0)
    (refresh,) = in_dialog(conversation.a, "UPDATE")
    world.kill(1)
    assert not conversation.a.got("INVITE")
    conversation.a.replies(refresh, 200, "Session-Expires: 1800;refresher=uac")
    (offer,) = in_dialog(conversation.a, "INVITE")
    assert read(offer.body).address[0] == list(world.servers.values())[1].outside  # type: ignore[index]


def test_an_agent_that_has_not_acknowledged_our_answer_is_told_of_new_ports_then() -> None:
    world = rescuing()
    conversation = Conversation(world)
    conversation.dies()
    conversation.a.within("INVITE", conversation.call.final, cseq=2, body=BARESIP)
    world.kill(1)
    assert not conversation.a.got("INVITE")
    conversation.a.within("ACK", conversation.call.final, cseq=2)
    assert len(in_dialog(conversation.a, "INVITE")) == 1
