"""Calls that have outlived their node, as operators see and end them: by the API's service and by MI."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.live.api import mi, models
from engine.live.api.service import ApiError, Service
from engine.live.tally import CallBook
from engine.notes import RescuedCallEnded
from tests.engine.harness import World
from tests.engine.rescue.conversations import Conversation, in_dialog, rescuing
from tests.engine.rescue.test_rescue_moved import Application, moved


def service(world: World) -> Service:
    """The API's, over a world instead of sockets."""
    host: Any = SimpleNamespace(machine=world.edge, now=world.now, deliver=world.happen)
    return Service(host, cast(Any, None), cast(Any, None), cast(Any, None), CallBook())


def told(world: World, method: str, *params: str) -> Any:
    """What MI answers."""
    command = models.Command(jsonrpc="2.0", id=1, method=method, params=list(params))
    return asyncio.run(mi.carry_out(service(world), command))


def shown(world: World) -> dict[str, models.Call]:
    calls = service(world).calls(models.CallsPage())
    assert calls.total == len(calls.calls)
    return {call.call_id: call for call in calls.calls}


def test_both_sides_of_a_rescued_conversation_are_listed() -> None:
    conversation = Conversation(rescuing())
    assert {call.rescue for call in shown(conversation.world).values()} == {None}
    conversation.world.advance(5.0)
    conversation.dies()
    calls = shown(conversation.world)
    one, other = conversation.call.call_id, conversation.leg.call_id
    assert {call_id: call.partner for call_id, call in calls.items()} == {one: other, other: one}
    assert {call.rescue for call in calls.values()} == {"rescued"}
    assert calls[one].node == conversation.node.name
    assert calls[one].age_s == 5.0


def test_a_moved_call_is_listed_by_the_agents_call_id_and_by_the_edges_own() -> None:
    application, there, invite = moved()
    calls = shown(application.world)
    agents, own = calls[application.call.call_id], calls[invite["call-id"]]
    assert (agents.rescue, agents.node, agents.partner) == ("moved", there.name, invite["call-id"])
    assert (own.rescue, own.node) == (None, there.name)
    assert len(calls) == 2


def test_one_on_its_way_and_one_that_is_left_are_listed_too() -> None:
    application = Application(otherwise="hold")
    application.dies()
    call_id = application.call.call_id
    assert shown(application.world)[call_id].rescue == "moving"
    application.world.called().answer(407)
    assert shown(application.world)[call_id].rescue == "left"
    service(application.world).end_call(call_id)
    assert in_dialog(application.a, "BYE")
    assert not shown(application.world)


@pytest.mark.parametrize("by_mi", [True, False])
@pytest.mark.parametrize("which", ["call", "leg"])
def test_a_rescued_conversation_is_ended_on_both_sides_by_the_call_id_of_either(which: str, by_mi: bool) -> None:
    conversation = Conversation(rescuing())
    conversation.dies()
    world, call_id = conversation.world, getattr(conversation, which).call_id
    (listed,) = told(world, "dlg_list", call_id).result["Dialogs"]
    assert (listed["callid"], listed["rescue"]) == (call_id, "rescued")
    if by_mi:
        assert told(world, "dlg_end_dlg", call_id).result == "OK"
    else:
        assert service(world).end_call(call_id).rescue == "rescued"
    assert in_dialog(conversation.a, "BYE")
    assert in_dialog(conversation.b, "BYE")
    assert [note.why for note in world.told(RescuedCallEnded)] == ["by order"]
    assert told(world, "dlg_list").result == {"count": 0, "Dialogs": []}
    with pytest.raises(ApiError, match="no call"):
        service(world).end_call(call_id)


@pytest.mark.parametrize("by_its_own_name", [True, False])
def test_a_moved_call_is_ended_by_either_of_its_names(by_its_own_name: bool) -> None:
    application, there, invite = moved()
    service(application.world).end_call(application.call.call_id if by_its_own_name else invite["call-id"])
    assert in_dialog(application.a, "BYE")
    assert in_dialog(there, "BYE")
    assert not shown(application.world)
