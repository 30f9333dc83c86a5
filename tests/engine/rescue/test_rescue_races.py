"""What is under way at the instant at which a node dies: each message finds the end that RFC 3261 gives it."""

from __future__ import annotations

import pytest

from engine.notes import CallNotRescued, CallRescued, RescuedCallEnded
from tests.engine.harness import Exchange
from tests.engine.media.relay import read
from tests.engine.media.test_media_edge import NODE
from tests.engine.media.written import BARESIP, BROWSER
from tests.engine.registrar.registering import registers, stored
from tests.engine.rescue.conversations import OTHER, Conversation, in_dialog, rescuing
from tests.engine.wire import Wire


def ringing(*, answers: bool = False) -> tuple[Exchange, list[Wire]]:
    """A node dies while B rings; what B got then. ``answers``: B picks up before it hears of that."""
    world = rescuing()
    b = world.peer(*OTHER)
    registers(b, user="1001")
    contact = stored(world.called("REGISTER"))
    node = world.called("REGISTER")
    leg = Exchange(node, "INVITE", contact, body=NODE)
    leg.send()
    invited = b.got("INVITE")[-1]
    b.replies(invited, 180, tag="b")
    node.alive = False
    node.unreachable()
    if answers:
        b.replies(invited, 200, tag="b", body=BARESIP)
    else:
        b.replies(b.got("CANCEL")[-1], 200)
        b.replies(invited, 487, tag="b")
    world.run_out()
    assert world.edge.rescued_dialogs() == world.edge.relayed_calls() == 0
    return leg, b.inbox


def test_a_phone_that_rings_for_a_dead_node_is_told_to_stop() -> None:
    _, got = ringing()
    assert "cause=27" in next(wire for wire in got if wire.is_request and wire.method == "CANCEL")["reason"]
    assert not [wire for wire in got if wire.is_request and wire.method == "BYE"]


def test_a_phone_that_was_picked_up_in_that_instant_is_acknowledged_and_told_of_the_end() -> None:
    _, got = ringing(answers=True)
    methods = list(dict.fromkeys(wire.method for wire in got if wire.is_request))
    assert methods[:4] == ["INVITE", "CANCEL", "ACK", "BYE"]


def test_a_2xx_that_the_node_did_not_acknowledge_any_more_is_acknowledged_in_its_name() -> None:
    conversation = Conversation(rescuing(), acknowledged=False)
    assert not conversation.b.got("ACK")
    conversation.dies()
    (ack,) = in_dialog(conversation.b, "ACK")
    assert ack["cseq"] == conversation.invited["cseq"].replace("INVITE", "ACK")
    conversation.world.advance(60.0)
    assert len(conversation.b.got("ACK")) == 1
    assert not conversation.world.told(RescuedCallEnded)


def test_a_re_invite_of_the_node_that_died_over_it_is_cancelled() -> None:
    conversation = Conversation(rescuing())
    held = NODE.replace(b"a=sendrecv", b"a=sendonly")
    conversation.leg.peer.within("INVITE", conversation.leg.final, cseq=2, body=held)
    again = conversation.b.got("INVITE")[-1]
    conversation.b.replies(again, 100)
    conversation.dies()
    (cancel,) = in_dialog(conversation.b, "CANCEL")
    assert cancel["cseq"] == again["cseq"].replace("INVITE", "CANCEL")
    conversation.b.replies(again, 487)
    assert conversation.world.told(CallRescued)
    conversation.world.advance(60.0)
    assert not conversation.world.told(RescuedCallEnded)


def test_one_that_was_answered_all_the_same_is_acknowledged_and_followed_by_an_offer_that_holds() -> None:
    conversation = Conversation(rescuing())
    conversation.leg.peer.within("INVITE", conversation.leg.final, cseq=2, body=NODE)
    again = conversation.b.got("INVITE")[-1]
    conversation.dies()
    conversation.b.replies(again, 200, body=BARESIP)
    number = int(again["cseq"].split()[0])
    assert [wire["cseq"] for wire in in_dialog(conversation.b, "ACK")][-1] == f"{number} ACK"
    (offer,) = [wire for wire in in_dialog(conversation.b, "INVITE") if wire["cseq"] > again["cseq"]]
    assert read(offer.body).address == ("192.0.2.1", conversation.ports[1].number)
    conversation.b.replies(offer, 200, body=BARESIP)
    assert in_dialog(conversation.b, "ACK")[-1]["cseq"] == f"{number + 1} ACK"


@pytest.mark.parametrize(("cancelled", "status"), [(False, 200), (True, 487)])
def test_a_re_invite_of_an_agent_that_the_node_died_over_is_answered(cancelled: bool, status: int) -> None:
    conversation = Conversation(rescuing())
    conversation.node.alive = False
    again = conversation.a.within("INVITE", conversation.call.final, cseq=2)
    if cancelled:
        conversation.a.sends(again.data.replace(b"INVITE ", b"CANCEL ", 1).replace(b"2 INVITE", b"2 CANCEL"))
    conversation.dies()
    answers = [w.status for w in conversation.a.inbox if w["cseq"] == "2 INVITE" and w.status >= 200]
    assert answers == [status]


def test_a_re_invite_that_the_node_died_over_is_answered_though_a_later_request_has_passed_it() -> None:
    conversation = Conversation(rescuing())
    conversation.node.alive = False
    conversation.a.within("INVITE", conversation.call.final, cseq=2, body=BARESIP)
    conversation.a.within("INFO", conversation.call.final, cseq=3)
    conversation.dies()
    answers = {w["cseq"]: w.status for w in conversation.a.inbox if not w.is_request and w.status >= 200}
    assert (answers["2 INVITE"], answers["3 INFO"]) == (200, 200)


def test_byes_of_both_agents_in_the_instant_of_the_death_are_both_answered() -> None:
    conversation = Conversation(rescuing())
    conversation.node.alive = False
    bye_a, bye_b = conversation.call.bye(), conversation.b.bye(conversation.invited)
    conversation.dies()
    for peer, bye in ((conversation.a, bye_a), (conversation.b, bye_b)):
        assert [w.status for w in peer.inbox if not w.is_request and w["cseq"] == bye["cseq"]] == [200]
    conversation.world.run_out()
    assert conversation.world.edge.rescued_dialogs() == 0


def test_an_offer_in_a_2xx_of_ours_is_answered_by_the_ack() -> None:
    """RFC 3261 §14.2, §13.2.2.4: a re-INVITE without an offer is answered by one."""
    conversation = Conversation(rescuing())
    conversation.dies()
    near, far = conversation.ports
    rules = conversation.world.media.rules
    conversation.a.within("INVITE", conversation.call.final, cseq=2)
    offer = next(w for w in conversation.a.inbox if w["cseq"] == "2 INVITE" and w.status == 200)
    assert read(offer.body).address == ("192.0.2.1", near.number)
    held = BARESIP.replace(b"a=sendrecv", b"a=sendonly")
    conversation.a.within("ACK", conversation.call.final, cseq=2, body=held)
    assert rules[far].rtp is None
    conversation.a.within("INVITE", conversation.call.final, cseq=3)
    conversation.a.within("ACK", conversation.call.final, cseq=3, body=BARESIP)
    assert rules[far].rtp is not None


def test_an_offer_to_a_browser_says_what_an_answer_to_it_did_not_have_to() -> None:
    conversation = Conversation(rescuing(), body_of_a=BROWSER, browser=True)
    conversation.dies()
    conversation.a.within("INVITE", conversation.call.final, cseq=2)
    offer = next(w for w in conversation.a.inbox if w["cseq"] == "2 INVITE" and w.status == 200)
    assert b"a=setup:actpass" in offer.body  # RFC 5763 §5
    conversation.a.within("ACK", conversation.call.final, cseq=2, body=BROWSER.replace(b"actpass", b"active"))
    conversation.world.advance(60.0)
    assert not conversation.world.told(RescuedCallEnded)


def test_what_was_never_a_conversation_is_told_so() -> None:
    _, got = ringing(answers=True)
    assert got
    world = rescuing()
    conversation = Conversation(world, marked=False)
    conversation.dies()
    assert len(world.told(CallNotRescued)) == 2
