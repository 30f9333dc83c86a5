"""What a stand-in asks of its agent, and what becomes of the conversation when that is refused or not answered."""

from __future__ import annotations

import pytest

from engine.notes import RescuedCallEnded
from tests.engine.media.test_media_edge import NODE
from tests.engine.media.written import BARESIP
from tests.engine.rescue.conversations import Conversation, in_dialog, rescuing
from tests.engine.wire import Wire

BY_INVITE = "INVITE, ACK, BYE, CANCEL"  # an agent that knows no UPDATE
BY_US = "Session-Expires: 1800;refresher=uac"  # the node, whose INVITE it was
BY_AGENT = "Session-Expires: 1800;refresher=uas"


def offered(agreed: str) -> tuple[Conversation, Wire]:
    """The node died over a re-INVITE of its own that B has answered, so that B is made another offer."""
    conversation = Conversation(rescuing(), agreed_by_b=agreed)
    conversation.leg.peer.within("INVITE", conversation.leg.final, cseq=2, body=NODE)
    again = conversation.b.got("INVITE")[-1]
    conversation.dies()
    conversation.b.replies(again, 200, agreed, body=BARESIP)
    offer = in_dialog(conversation.b, "INVITE")[-1]
    assert offer["cseq"] != again["cseq"]
    return conversation, offer


def refreshed_by_invite() -> tuple[Conversation, Wire]:
    """A session is refreshed by a re-INVITE to A."""
    conversation = Conversation(rescuing(), agreed="Session-Expires: 1800;refresher=uas", allow=BY_INVITE)
    conversation.dies()
    conversation.world.advance(901.0)
    (invite,) = in_dialog(conversation.a, "INVITE")
    return conversation, invite


def ended(conversation: Conversation) -> list[str]:
    return [note.why for note in conversation.world.told(RescuedCallEnded)]


def leaves_nothing(conversation: Conversation) -> None:
    conversation.node.alive = True  # so that no probe is unanswered
    conversation.world.run_out()
    assert conversation.world.edge.rescued_dialogs() == conversation.world.edge.open_transactions() == 0


@pytest.mark.parametrize("agreed", ["", BY_US, BY_AGENT])
def test_an_offer_that_crosses_one_of_the_agents_is_made_again(agreed: str) -> None:
    conversation, offer = offered(agreed)
    conversation.b.replies(offer, 491)
    conversation.world.advance(2.0)
    assert in_dialog(conversation.b, "INVITE")[-1]["cseq"] == offer["cseq"]
    conversation.world.advance(2.0)
    again = in_dialog(conversation.b, "INVITE")[-1]
    assert again["cseq"] != offer["cseq"]
    assert again.body == offer.body
    assert "session-expires" not in again
    conversation.b.replies(again, 200, agreed, body=BARESIP)
    conversation.world.advance(800.0)
    assert not ended(conversation)


def test_a_refresh_that_crosses_a_request_of_the_agents_is_made_again() -> None:
    conversation, invite = refreshed_by_invite()
    for _ in range(2):
        conversation.a.replies(invite, 491)
        conversation.world.advance(2.0)
        assert in_dialog(conversation.a, "INVITE")[-1]["cseq"] == invite["cseq"]
        conversation.world.advance(2.0)
        again = in_dialog(conversation.a, "INVITE")[-1]
        assert again["cseq"] != invite["cseq"]
        assert again["session-expires"] == invite["session-expires"]
        invite = again
    assert not ended(conversation)


def test_an_offer_that_is_refused_changes_nothing_about_the_session() -> None:
    conversation, offer = offered(BY_US)
    conversation.b.replies(offer, 488)
    conversation.world.advance(890.0)
    assert len(in_dialog(conversation.b, "INVITE")) == 3
    conversation.world.advance(20.0)
    refresh = in_dialog(conversation.b, "INVITE")[-1]
    conversation.b.replies(refresh, 200, BY_US, body=BARESIP)
    conversation.world.advance(890.0)
    assert not ended(conversation)


def test_a_refresh_that_is_refused_leaves_the_session_to_the_agent() -> None:
    conversation, invite = refreshed_by_invite()
    conversation.a.replies(invite, 488)
    conversation.world.advance(860.0)
    assert not ended(conversation)
    conversation.world.advance(10.0)
    assert ended(conversation) == ["session expired"]


def test_a_re_invite_that_is_only_tried_is_cancelled_and_its_agent_taken_for_gone() -> None:
    conversation, invite = refreshed_by_invite()
    conversation.a.replies(invite, 100)
    conversation.world.advance(31.0)
    assert not conversation.a.got("CANCEL")
    conversation.world.advance(2.0)
    (cancel,) = in_dialog(conversation.a, "CANCEL")
    assert cancel["cseq"].split()[0] == invite["cseq"].split()[0]
    conversation.world.advance(33.0)
    assert ended(conversation) == ["no answer"]
    leaves_nothing(conversation)


def test_one_that_is_cancelled_and_ends_with_487_is_refused_and_no_more() -> None:
    conversation, invite = refreshed_by_invite()
    conversation.a.replies(invite, 100)
    conversation.world.advance(33.0)
    conversation.a.replies(in_dialog(conversation.a, "CANCEL")[0], 200)
    conversation.a.replies(invite, 487)
    conversation.world.advance(60.0)
    assert not ended(conversation)


@pytest.mark.parametrize("tried_first", [True, False])
def test_a_re_invite_under_way_at_the_end_is_cancelled(tried_first: bool) -> None:
    conversation, invite = refreshed_by_invite()
    if tried_first:
        conversation.a.replies(invite, 100)
    conversation.b.bye(conversation.invited)
    assert len(conversation.a.got("CANCEL")) == tried_first
    if not tried_first:
        conversation.a.replies(invite, 100)
    assert len(conversation.a.got("CANCEL")) == 1
    leaves_nothing(conversation)


def test_a_session_ends_in_time_though_its_refresh_is_not_answered() -> None:
    conversation = Conversation(rescuing(), agreed="Session-Expires: 90;refresher=uas", allow=BY_INVITE)
    conversation.dies()
    conversation.world.advance(45.5)
    conversation.a.replies(in_dialog(conversation.a, "INVITE")[0], 100)
    conversation.world.advance(15.0)
    assert ended(conversation) == ["session expired"]
