"""What is heard of a dialog while its node lives, for the edge goes on from there."""

from __future__ import annotations

from engine.boundary import Flow
from engine.notes import CallRescued
from tests.engine.harness import EDGE, Exchange, Peer, World
from tests.engine.media.test_media_edge import NODE
from tests.engine.media.written import BARESIP
from tests.engine.registrar.registering import registers, stored
from tests.engine.rescue.conversations import MARK, ONE, OTHER, Conversation, in_dialog, rescuing

RELIABLE = ("Require: 100rel", "RSeq: 1")


def test_what_a_node_asked_before_the_answer_counts() -> None:
    world = rescuing()
    a, b = world.peer(*ONE), world.peer(*OTHER)
    registers(b, user="1001")
    contact = stored(world.called("REGISTER"))
    call = a.invite(f"sip:1001@{EDGE}", "Allow: INVITE, ACK, BYE", body=BARESIP)
    node = world.called()
    asked = node.got("INVITE")[-1]
    leg = Exchange(node, "INVITE", contact, f"X-Siptwin-Leg: {asked[MARK]}", body=NODE)
    leg.send()
    invited = b.got("INVITE")[-1]
    b.replies(invited, 183, *RELIABLE, tag=b.tag_for(invited))
    node.within("PRACK", leg.responses[-1], "RAck: 1 1 INVITE", cseq=2)
    b.replies(b.got("PRACK")[-1], 200)
    b.replies(invited, 200, tag=b.tag_for(invited), body=BARESIP)
    leg.ack()
    node.answer(200, body=NODE)
    call.ack()
    node.alive = False
    node.unreachable()
    assert world.told(CallRescued)
    call.bye()
    assert in_dialog(b, "BYE")[0]["cseq"] == "3 BYE"


def test_a_node_that_asks_from_another_port_as_over_tcp_is_the_node() -> None:
    conversation = Conversation(rescuing())
    node = conversation.node
    connection = Peer(conversation.world, Flow(node.flow.interface, (node.flow.peer[0], 45_000)))
    connection.within("UPDATE", conversation.leg.final, f"Contact: <sip:new@{node.host_port}>", cseq=2)
    conversation.b.replies(conversation.b.got("UPDATE")[0], 200)
    conversation.dies()
    conversation.call.bye()
    (told,) = in_dialog(conversation.b, "BYE")
    assert told.uri == f"sip:{conversation.b.host_port}"
    assert told["cseq"] == "3 BYE"


def test_a_proxy_between_node_and_edge_is_not_on_the_way_to_the_agent() -> None:
    world: World = rescuing()
    a, b = world.peer(*ONE), world.peer(*OTHER)
    registers(b, user="1001")
    contact = stored(world.called("REGISTER"))
    call = a.invite(f"sip:1001@{EDGE}", body=BARESIP)
    node = world.called()
    mark = f"X-Siptwin-Leg: {node.got('INVITE')[-1][MARK]}"
    leg = Exchange(node, "INVITE", contact, mark, "Record-Route: <sip:10.0.0.99;lr>", body=NODE)
    leg.send()
    invited = b.got("INVITE")[-1]
    b.replies(invited, 200, tag=b.tag_for(invited), body=BARESIP)
    leg.ack()
    node.answer(200, body=NODE)
    call.ack()
    node.alive = False
    node.unreachable()
    call.bye()
    (told,) = in_dialog(b, "BYE")
    assert "route" not in told
