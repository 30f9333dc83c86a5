"""A rescued conversation after a restart of the edge: its media are lost, but a BYE still ends both sides."""

from __future__ import annotations

import pytest

from engine.boundary import Drop, RescueRecord, Save
from engine.config import RegistrarConfig, RescueConfig
from engine.notes import CallMoving, CallRestored, RescuedCallEnded
from engine.rescue.halves import read_half, write_half
from tests.engine.harness import Peer, World
from tests.engine.media.test_media_edge import RELAY
from tests.engine.media.written import BARESIP
from tests.engine.records.keeping import KEPT, SECRET, held, next_life
from tests.engine.registrar.registering import WEB
from tests.engine.rescue.conversations import ONE, OTHER, Conversation, in_dialog, rescuing
from tests.engine.rescue.test_rescue_moved import moved
from tests.engine.rescue.test_rescue_reachability import ANSWER, comes
from tests.engine.wire import Wire


def rescued(**settings: str) -> Conversation:
    world = rescuing(store=KEPT, registrar=RegistrarConfig(secret=SECRET))
    conversation = Conversation(world, **settings)  # type: ignore[arg-type]
    conversation.dies()
    return conversation


def rescues(world: World) -> list[RescueRecord]:
    return [record for record in held(world).values() if isinstance(record, RescueRecord)]


def restarted(before: World) -> World:
    settings = {"relay": RELAY, "rescue": RescueConfig(), "interfaces": WEB, "nodes": before.config.nodes}
    return next_life(before, RegistrarConfig(secret=SECRET), **settings)


def answers(peer: Peer, request: Wire) -> list[int]:
    return [w.status for w in peer.inbox if not w.is_request and w["cseq"] == request["cseq"]]


def test_a_conversation_is_kept_from_its_rescue_to_its_end() -> None:
    conversation = rescued()
    assert len(rescues(conversation.world)) == 2
    conversation.call.bye()
    assert not rescues(conversation.world)


@pytest.mark.parametrize("caller_ends", [True, False])
def test_in_the_next_life_a_bye_ends_both_sides(caller_ends: bool) -> None:
    conversation = rescued()
    world = restarted(conversation.world)
    a, b = world.peer(*ONE), world.peer(*OTHER)
    assert {note.call_id for note in world.told(CallRestored)} == {
        conversation.call.call_id,
        conversation.leg.call_id,
    }
    assert ("sip:1000@192.0.2.1", "sip:1001@192.0.2.1") in {
        (note.caller, note.callee) for note in world.told(CallRestored)
    }
    if caller_ends:
        bye = a.bye(conversation.call.final)
        assert answers(a, bye) == [200]
        (told,) = in_dialog(b, "BYE")
        assert told["from"] == conversation.invited["from"]
        assert told["call-id"] == conversation.leg.call_id
        b.replies(told, 200)
    else:
        bye = b.bye(conversation.invited)
        assert answers(b, bye) == [200]
        (told,) = in_dialog(a, "BYE")
        assert told["from"] == conversation.call.final["to"]
        a.replies(told, 200)
    assert [note.why for note in world.told(RescuedCallEnded)] == ["bye"]
    assert not rescues(world)
    world.run_out()
    assert world.edge.rescued_dialogs() == 0


def test_its_numbers_go_on_above_those_of_the_life_before() -> None:
    conversation = rescued(agreed="Session-Expires: 120;refresher=uas")
    conversation.world.advance(61.0)
    (update,) = in_dialog(conversation.a, "UPDATE")
    world = restarted(conversation.world)
    world.peer(*OTHER).bye(conversation.invited)
    (bye,) = in_dialog(world.peer(*ONE), "BYE")
    assert int(bye["cseq"].split()[0]) > int(update["cseq"].split()[0])


def test_media_cannot_be_had_any_more() -> None:
    conversation = rescued()
    world = restarted(conversation.world)
    again = world.peer(*ONE).within("INVITE", conversation.call.final, cseq=2, body=BARESIP)
    assert answers(world.peer(*ONE), again) == [488]


def test_a_session_goes_on_to_be_refreshed() -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uas")
    conversation.world.advance(600.0)
    world = restarted(conversation.world)
    world.advance(299.0)
    a = world.peer(*ONE)
    assert not a.got("UPDATE")
    world.advance(2.0)
    assert in_dialog(a, "UPDATE")


def test_a_session_that_its_agent_refreshes_is_given_a_whole_interval_in_the_next_life() -> None:
    """When the agent has refreshed it last is not written, for that changes with each refresh."""
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uac")
    for number in (2, 3):
        conversation.world.advance(900.0)
        lines = ("Session-Expires: 1800;refresher=uac", "Supported: timer")
        conversation.a.within("UPDATE", conversation.call.final, *lines, cseq=number)
    world = restarted(conversation.world)
    world.advance(1_767.0)
    assert not world.told(RescuedCallEnded)
    world.advance(2.0)
    assert [note.why for note in world.told(RescuedCallEnded)] == ["session expired"]


def test_a_session_that_is_late_to_be_refreshed_is_refreshed_at_once() -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uas")
    conversation.world.advance(899.0)
    conversation.world.now += 1_000.0  # the edge is away
    world = restarted(conversation.world)
    world.advance(0.1)
    (update,) = in_dialog(world.peer(*ONE), "UPDATE")
    world.peer(*ONE).replies(update, 200, "Session-Expires: 1800;refresher=uac")
    world.advance(800.0)
    assert not world.told(RescuedCallEnded)


def test_where_an_agent_is_reached_and_what_was_agreed_with_it_is_written_anew() -> None:
    conversation = rescued()
    written = len([order for order in conversation.world.orders if isinstance(order, Save)])
    lines = ("Contact: <sip:moved@198.51.100.7:5060>", "Session-Expires: 600;refresher=uac")
    for number in (2, 3):  # the second changes nothing
        conversation.a.within("UPDATE", conversation.call.final, *lines, cseq=number)
    orders = [order for order in conversation.world.orders if isinstance(order, Save)]
    assert len(orders) == written + 2
    world = restarted(conversation.world)
    world.peer(*OTHER).bye(conversation.invited)
    (bye,) = in_dialog(world.peer(*ONE), "BYE")
    assert bye.uri == "sip:moved@198.51.100.7:5060"


def test_a_call_that_was_moved_ends_at_its_node_as_well() -> None:
    application, there, invite = moved(store=KEPT)
    world = restarted(application.world)
    world.peer(*ONE).bye(application.call.final)
    (bye,) = in_dialog(world.node(there.name), "BYE")
    assert bye["call-id"] == invite["call-id"]
    assert world.in_use(there.name) == 0
    assert not held(world)
    assert [note.other_call_id for note in world.told(CallMoving)] == [invite["call-id"]]


def test_where_rescue_was_turned_off_meanwhile_they_are_forgotten() -> None:
    conversation = rescued()
    settings = {"relay": RELAY, "rescue": RescueConfig(enabled=False), "interfaces": WEB}
    world = next_life(conversation.world, RegistrarConfig(secret=SECRET), **settings)
    assert len([order for order in world.orders if isinstance(order, Drop) and order.key.kind == "rescues"]) == 2


@pytest.mark.parametrize("half", [b"", b"{}", b"[]", b'{"flow": 1}', b"\xff"])
def test_what_cannot_be_read_is_forgotten(half: bytes) -> None:
    conversation = rescued()
    records = [record._replace(half=half) for record in rescues(conversation.world)]
    with pytest.raises(ValueError, match="not the half of a dialog"):
        read_half((b"a", b"b"), half, 0.0)
    rescue = conversation.world.edge._core.rescue
    assert rescue is not None
    assert rescue._keeping.read(records, 0.0) == []


def test_a_half_is_read_as_it_was_written() -> None:
    conversation = rescued(agreed="Session-Expires: 1800;refresher=uas")
    for record in rescues(conversation.world):
        side = read_half((record.call_id, record.callee_tag), record.half, 5.0)
        side.dialog.local_number -= 1_000
        assert write_half(side, 5.0) == record.half


def test_an_agent_on_a_websocket_is_waited_for() -> None:
    """Its connection is gone with the edge's earlier life; the BYE goes out when it is back."""
    world = rescuing(store=KEPT, registrar=RegistrarConfig(secret=SECRET))
    conversation = Conversation(world, b=comes(world, 1), body_of_b=ANSWER)
    conversation.dies()
    after = restarted(world)
    after.peer(*ONE).bye(conversation.call.final)
    assert in_dialog(comes(after, 2), "BYE")
