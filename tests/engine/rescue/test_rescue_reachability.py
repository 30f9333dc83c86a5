"""An agent of a rescued conversation that has lost its connection, or moved, does not lose the call."""

from __future__ import annotations

from engine.config import RegistrarConfig, RescueConfig
from engine.notes import CallRescued, RescuedCallEnded
from tests.engine.harness import Peer, World
from tests.engine.media.test_media_edge import RELAY
from tests.engine.media.written import BROWSER
from tests.engine.peers import pair as edges
from tests.engine.registrar.registering import INSTANCE, browser, registers
from tests.engine.rescue.conversations import Conversation, in_dialog, rescuing

CONTACT = f"<sip:x7k2@ab12cd.invalid;transport=ws>;{INSTANCE}"
ANSWER = BROWSER.replace(b"actpass", b"active")
WAIT_S = RegistrarConfig().flow_wait_s
REFRESHED = "Session-Expires: 120;refresher=uac"  # by the caller, here the node


def comes(world: World, number: int) -> Peer:
    """B, on a WebSocket of this number."""
    agent = browser(world, number)
    registers(agent, CONTACT, user="1001", call_id=f"b-{number}")
    world.advance(0)
    return agent


def rescued() -> Conversation:
    """B has a WebSocket, and the node refreshed its session."""
    world = rescuing()
    lines = f"Allow: UPDATE\r\n{REFRESHED}"
    conversation = Conversation(world, b=comes(world, 1), agreed_by_b=lines, body_of_b=ANSWER)
    conversation.dies()
    assert world.told(CallRescued)
    return conversation


def until_refresh(conversation: Conversation) -> None:
    """A second before the session is refreshed."""
    for _ in range(7):
        conversation.world.advance(8.0)
        conversation.b.pongs()
    conversation.world.advance(3.0)


def test_a_refresh_waits_for_the_agents_next_connection() -> None:
    conversation = rescued()
    world = conversation.world
    until_refresh(conversation)
    conversation.b.closes()
    world.advance(2.0)
    assert not conversation.b.got("UPDATE")
    back = comes(world, 2)
    (update,) = in_dialog(back, "UPDATE")
    back.replies(update, 200, REFRESHED)
    world.advance(9.0)
    assert not world.told(RescuedCallEnded)
    assert not conversation.a.got("BYE")


def test_a_refresh_that_was_lost_with_the_connection_is_sent_again_on_the_next() -> None:
    conversation = rescued()
    world = conversation.world
    until_refresh(conversation)
    world.advance(2.0)
    (lost,) = in_dialog(conversation.b, "UPDATE")
    conversation.b.closes()
    world.advance(1.0)
    back = comes(world, 2)
    (update,) = in_dialog(back, "UPDATE")
    assert int(update["cseq"].split()[0]) == int(lost["cseq"].split()[0]) + 1
    back.replies(update, 200, REFRESHED)
    world.advance(9.0)
    assert not world.told(RescuedCallEnded)


def test_the_other_agents_hang_up_waits_for_it_as_well() -> None:
    conversation = rescued()
    conversation.b.closes()
    conversation.call.bye()
    back = comes(conversation.world, 2)
    assert in_dialog(back, "BYE")


def test_who_does_not_come_back_in_time_is_gone() -> None:
    conversation = rescued()
    world = conversation.world
    until_refresh(conversation)
    conversation.b.closes()
    world.advance(WAIT_S - 0.5)
    assert not world.told(RescuedCallEnded)
    world.advance(1.0)
    assert [note.why for note in world.told(RescuedCallEnded)] == ["flow failed"]
    assert in_dialog(conversation.a, "BYE")
    world.run_out()
    assert world.edge.rescued_dialogs() == 0


def test_an_agent_that_has_moved_to_another_edge_is_followed() -> None:
    settings = RegistrarConfig(secret=edges.SECRET)
    two = edges.Pair(relay=RELAY, rescue=RescueConfig(), registrar=settings)
    before = edges.browser(two.one)
    edges.registers(before)
    conversation = Conversation(two.one, b=before, body_of_b=ANSWER)
    conversation.dies()
    before.closes()
    two.one.advance(1.0)
    conversation.call.bye()  # before B is back
    after = edges.browser(two.two)
    edges.registers(after, cseq=2)
    two.advance(0.2)
    (bye,) = in_dialog(after, "BYE")
    assert bye["call-id"] == conversation.leg.call_id
    after.replies(bye, 200)
    two.advance(1.0)
    assert len(after.got("BYE")) == 1
