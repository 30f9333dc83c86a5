"""The edge in the place of a dead node: session timers (RFC 4028), order, methods, and a node that comes back."""

from __future__ import annotations

import pytest

from engine.media.rules import MediaPacket
from engine.notes import CallNotRescued, CallRescued, RescuedCallEnded
from tests.engine.harness import Peer
from tests.engine.media.relay import rtp
from tests.engine.media.written import BARESIP, BROWSER, crlf
from tests.engine.rescue.conversations import ONE, OTHER, Conversation, in_dialog, rescuing
from tests.engine.wire import Wire


def rescued(**settings: object) -> Conversation:
    conversation = Conversation(rescuing(), **settings)  # type: ignore[arg-type]
    conversation.dies()
    assert conversation.world.told(CallRescued)
    return conversation


def answers(peer: Peer, request: Wire) -> list[Wire]:
    return [wire for wire in peer.inbox if not wire.is_request and wire["cseq"] == request["cseq"]]


def test_a_session_that_the_node_should_refresh_is_refreshed_in_time() -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uas")
    conversation.world.advance(899.0)
    assert not conversation.a.got("UPDATE")
    conversation.world.advance(2.0)
    (update,) = in_dialog(conversation.a, "UPDATE")
    assert update["session-expires"] == "1800;refresher=uac"
    assert update["from"] == conversation.call.final["to"]
    conversation.a.replies(update, 200, "Session-Expires: 1800;refresher=uac")
    conversation.world.advance(900.0)
    assert len(in_dialog(conversation.a, "UPDATE")) == 2


def test_an_agent_that_knows_no_update_is_refreshed_by_a_re_invite_with_the_same_description() -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uas", allow="INVITE, ACK, BYE, CANCEL")
    conversation.world.advance(901.0)
    (invite,) = in_dialog(conversation.a, "INVITE")
    assert invite.body == conversation.call.final.body
    conversation.a.replies(invite, 200, "Session-Expires: 1800;refresher=uac", body=BARESIP)
    (ack,) = in_dialog(conversation.a, "ACK")
    assert ack["cseq"].split()[0] == invite["cseq"].split()[0]


def test_an_agent_that_lets_its_session_expire_is_taken_for_gone() -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uac")
    conversation.world.advance(1_767.0)
    assert conversation.world.edge.relayed_calls() == 1
    conversation.world.advance(2.0)
    assert in_dialog(conversation.a, "BYE")
    assert in_dialog(conversation.b, "BYE")
    (ended,) = conversation.world.told(RescuedCallEnded)
    assert ended.why == "session expired"


def test_an_agents_own_refresh_is_answered() -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uac")
    conversation.world.advance(900.0)
    update = conversation.a.within(
        "UPDATE", conversation.call.final, "Session-Expires: 1800;refresher=uac", "Supported: timer", cseq=2
    )
    (answer,) = answers(conversation.a, update)
    assert (answer.status, answer["session-expires"]) == (200, "1800;refresher=uac")
    conversation.world.advance(900.0)
    assert not conversation.world.told(RescuedCallEnded)


def test_a_session_interval_below_the_standards_is_refused() -> None:
    conversation = rescued()
    update = conversation.a.within("UPDATE", conversation.call.final, "Session-Expires: 30", cseq=2)
    (answer,) = answers(conversation.a, update)
    assert (answer.status, answer["min-se"]) == (422, "90")


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("INFO", 200), ("REFER", 603), ("MESSAGE", 405), ("UPDATE", 200)]
)
def test_each_method_has_its_answer(method: str, status: int) -> None:
    conversation = rescued()
    request = conversation.a.within(method, conversation.call.final, cseq=2)
    assert [answer.status for answer in answers(conversation.a, request)] == [status]


def test_a_request_out_of_order_is_refused() -> None:
    conversation = rescued()
    conversation.a.within("INFO", conversation.call.final, cseq=9)
    late = conversation.a.within("INFO", conversation.call.final, cseq=8)
    assert [answer.status for answer in answers(conversation.a, late)] == [500]


def test_a_2xx_to_a_re_invite_is_repeated_until_its_ack() -> None:
    conversation = rescued()
    again = conversation.a.within("INVITE", conversation.call.final, cseq=2, body=BARESIP)
    conversation.world.advance(1.6)
    assert len(answers(conversation.a, again)) == 3
    conversation.a.within("ACK", conversation.call.final, cseq=2)
    conversation.world.advance(60.0)
    assert len(answers(conversation.a, again)) == 3
    assert not in_dialog(conversation.a, "BYE")


def test_its_ack_may_come_behind_a_later_request() -> None:
    conversation = rescued()
    conversation.a.within("INVITE", conversation.call.final, cseq=2, body=BARESIP)
    conversation.a.within("INFO", conversation.call.final, cseq=3)
    conversation.a.within("ACK", conversation.call.final, cseq=2)
    conversation.world.advance(60.0)
    assert not in_dialog(conversation.a, "BYE")


@pytest.mark.parametrize(("method", "body"), [("INVITE", BARESIP), ("UPDATE", BARESIP), ("UPDATE", b"")])
def test_an_offer_that_crosses_ours_is_to_come_again(method: str, body: bytes) -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uas", allow="INVITE, ACK, BYE, CANCEL")
    conversation.world.advance(901.0)
    assert in_dialog(conversation.a, "INVITE")
    crossing = conversation.a.within(method, conversation.call.final, cseq=2, body=body)
    assert [answer.status for answer in answers(conversation.a, crossing)] == [491 if body else 200]


def test_a_re_invite_whose_2xx_is_never_acknowledged_ends_the_conversation() -> None:
    conversation = rescued()
    conversation.a.within("INVITE", conversation.call.final, cseq=2, body=BARESIP)
    conversation.world.advance(40.0)
    assert in_dialog(conversation.a, "BYE")
    assert in_dialog(conversation.b, "BYE")


def test_nobody_is_stood_in_for_beyond_a_dialogs_lifetime() -> None:
    conversation = Conversation(rescuing(dialog_lifetime_s=600.0))
    conversation.dies()
    assert not conversation.world.edge.idle  # a drain waits for them
    conversation.world.advance(700.0)
    assert conversation.world.edge.rescued_dialogs() == conversation.world.edge.relayed_calls() == 0
    assert in_dialog(conversation.a, "BYE")


def test_a_stranger_who_knows_one_tag_ends_no_call() -> None:
    conversation = rescued()
    forged = conversation.invited
    stranger = conversation.world.peer("192.0.2.66")
    stranger.within("BYE", forged, cseq=9)
    assert not conversation.world.told(RescuedCallEnded)


def test_a_held_call_that_cannot_be_refreshed_ends_without_a_fault() -> None:
    world = rescuing("hold")
    conversation = Conversation(
        world, marked=False, agreed="Session-Expires: 1800;refresher=uas", allow="INVITE, ACK, BYE"
    )
    conversation.dies()
    world.advance(901.0)
    assert in_dialog(conversation.a, "BYE")


def test_byes_that_cross_are_both_answered() -> None:
    conversation = rescued()
    conversation.call.bye()
    bye = conversation.b.bye(conversation.invited)
    assert [answer.status for answer in answers(conversation.b, bye)] == [200]


def test_a_node_that_comes_back_has_no_say_in_the_calls_that_it_lost() -> None:
    conversation = rescued()
    conversation.node.alive = True
    conversation.world.advance(20.0)
    bye = conversation.leg.bye()
    assert [answer.status for answer in answers(conversation.node, bye)] == [481]
    assert conversation.world.edge.relayed_calls() == 1


def test_an_offer_of_other_codecs_than_the_other_agent_has_is_answered_by_transcoding() -> None:
    conversation = rescued()
    opus = BROWSER_LIKE_OPUS
    again = conversation.a.within("INVITE", conversation.call.final, cseq=2, body=opus)
    (answer,) = answers(conversation.a, again)
    assert answer.status == 200
    near, _ = conversation.ports
    conversation.world.happen(MediaPacket(near, (ONE[0], 16_906), rtp(payload_type=111)))
    payloads = conversation.world.media.rules[near].payloads
    assert payloads is not None
    assert payloads[111].decode == b"opus"


def test_a_browser_and_a_phone_stay_joined() -> None:
    conversation = rescued(body_of_a=BROWSER, browser=True)
    near, far = conversation.ports
    assert conversation.world.media.secured[near] is not None
    assert conversation.world.media.secured.get(far) is None
    conversation.world.happen(MediaPacket(far, (OTHER[0], 16_906), rtp()))
    assert conversation.world.media.rules[near].payloads


def test_a_conversation_without_audio_that_can_go_on_is_not_rescued() -> None:
    world = rescuing()
    conversation = Conversation(world, body=b"")
    conversation.dies()
    assert not world.told(CallRescued)
    assert {note.why for note in world.told(CallNotRescued)} <= {
        "no audio that could go on",
        "its media are not relayed here",
    }


BROWSER_LIKE_OPUS = crlf("""
v=0
o=- 1 2 IN IP4 192.168.1.15
s=-
c=IN IP4 192.168.1.15
t=0 0
m=audio 16906 RTP/AVP 111
a=rtpmap:111 opus/48000/2
a=sendrecv
""")
