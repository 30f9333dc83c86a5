"""Calls that an operator ends: each side is told BYE in the name of the other, as if that had hung up."""

from __future__ import annotations

import pytest

from engine.boundary import CallOrder, DialogRecord, Loaded
from engine.notes import CallNotEnded, DialogEnded
from tests.engine.harness import EDGE, Exchange, NodePeer, World
from tests.engine.registrar.registering import INSTANCE, browser, edge, registers
from tests.engine.wire import Wire

CONTACT = f"<sip:x7k2@ab12cd.invalid;transport=ws>;{INSTANCE}"


@pytest.fixture
def world() -> World:
    return World(nodes=("FS1",))


def ends(world: World, call_id: str) -> None:
    world.happen(CallOrder(call_id, "end"))


def standing(world: World, *lines: str) -> tuple[Exchange, NodePeer]:
    call = world.caller.invite(f"sip:9196@{EDGE}", *lines, cseq=7)
    return call, call.establish()


def bye(party: object) -> Wire:
    (found,) = party.got("BYE")  # type: ignore[attr-defined]
    return found


def test_both_sides_are_told_bye_in_the_name_of_the_other(world: World) -> None:
    call, node = standing(world)
    invite = node.got("INVITE")[0]
    ends(world, call.call_id)
    to_caller, to_node = bye(world.caller), bye(node)
    assert to_caller.uri == f"sip:1000@{world.caller.host_port}"
    assert (to_caller["from"], to_caller["to"]) == (call.final["to"], call.from_)
    assert to_caller["cseq"] == "1 BYE"
    assert to_node.uri == f"sip:{node.host_port}"
    assert (to_node["from"], to_node["to"]) == (invite["from"], call.final["to"])
    assert to_node["cseq"] == "8 BYE"
    for each in (to_caller, to_node):
        assert each["call-id"] == call.call_id
        assert each["reason"] == 'Q.850;cause=16;text="NORMAL_CLEARING"'
        assert "route" not in each
    assert (to_caller.flow.interface, to_node.flow.interface) == ("outside", "inside")


def test_the_call_is_over_for_the_edge(world: World) -> None:
    call, _ = standing(world)
    world.advance(5)
    ends(world, call.call_id)
    assert world.told(DialogEnded) == [DialogEnded(call.call_id, "FS1", "pstn", "by order", 5.0)]
    assert world.in_use("FS1") == 0
    assert list(world.edge.calls(world.now)) == []
    ends(world, call.call_id)  # once more
    assert len(world.caller.got("BYE")) == 1


def test_numbers_go_on_from_the_last_of_each_side_and_contacts_are_those_of_now(world: World) -> None:
    call, node = standing(world)
    invite = node.got("INVITE")[0]
    world.caller.within("INVITE", call.final, "Contact: <sip:1000@198.51.100.7:7777>", cseq=20)
    node.answer(200, "Contact: <sip:moved@10.0.0.11>")
    node.within("INFO", invite, cseq=3_000)
    world.caller.replies(world.caller.got("INFO")[-1], 200)
    ends(world, call.call_id)
    assert (bye(world.caller)["cseq"], bye(node)["cseq"]) == ("3001 BYE", "21 BYE")
    assert (bye(world.caller).uri, bye(node).uri) == ("sip:1000@198.51.100.7:7777", "sip:moved@10.0.0.11")


def test_what_comes_later_is_answered_here(world: World) -> None:
    call, node = standing(world)
    invite = node.got("INVITE")[0]
    ends(world, call.call_id)
    world.caller.within("BYE", call.final, cseq=21)  # it crosses ours
    node.within("BYE", invite, cseq=1)
    world.caller.within("INFO", call.final, cseq=22)
    assert world.caller.statuses("BYE") == [200]
    assert node.statuses("BYE") == [200]
    assert world.caller.statuses("INFO") == [481]
    assert len(node.got("BYE")) == len(world.caller.got("BYE")) == 1
    world.advance(40)
    world.caller.within("INFO", call.final, cseq=23)
    assert len(node.got("INFO")) == 1  # a proxy like any other again


def test_repeated_until_it_is_answered(world: World) -> None:
    call, node = standing(world)
    ends(world, call.call_id)
    node.answer(200, method="BYE")
    world.advance(2)
    assert len(node.got("BYE")) == 1
    assert len(world.caller.got("BYE")) == 3
    world.caller.replies(world.caller.got("BYE")[0], 481)
    world.advance(40)
    assert len(world.caller.got("BYE")) == 3
    assert world.edge.open_transactions() == 0


def test_a_proxy_before_the_caller_stays_in_the_way(world: World) -> None:
    call, _ = standing(world, "Record-Route: <sip:proxy.example.net;lr>, <sip:198.51.100.9;lr>")
    ends(world, call.call_id)
    to_caller = bye(world.caller)
    assert to_caller.all("route") == ["<sip:proxy.example.net;lr>", "<sip:198.51.100.9;lr>"]
    assert to_caller.uri == f"sip:1000@{world.caller.host_port}"


def test_an_agent_is_told_on_its_connection_and_one_whose_connection_is_gone_finds_out_by_itself(
    world: World,
) -> None:
    for gone in (False, True):
        phone = world.peer("203.0.113.80", 50_000 + gone, "stream", 1 + gone)
        phone.opens()
        call = phone.invite(f"sip:9196@{EDGE}")
        node = call.establish()
        if gone:
            phone.closes()
        ends(world, call.call_id)
        assert len(phone.got("BYE")) == (0 if gone else 1)
        assert node.got("BYE")[-1]["call-id"] == call.call_id
        assert world.in_use("FS1") == 0


def test_of_a_call_of_an_earlier_life_too_little_is_known(world: World) -> None:
    world.happen(Loaded([DialogRecord("edge1", b"old@x", b"t", "FS1", "pstn", 0.0)]))
    why = world.edge.why_not_ended("old@x")
    assert why.startswith("it stands since before this start of the edge, ")
    assert "FS1 has no event socket" in why
    ends(world, "old@x")
    assert world.told(CallNotEnded) == [CallNotEnded("old@x", "FS1", why)]
    assert world.in_use("FS1") == 1
    assert not world.node("FS1").got("BYE")


def test_a_call_whose_sides_cannot_be_read_stands(world: World) -> None:
    call = world.caller.invite(f"sip:9196@{EDGE}")
    node = world.called()
    node.answer(200, "Contact: <sip:10.0.0.11")
    call.ack()
    why = world.edge.why_not_ended(call.call_id)
    assert why.startswith("what its sides have said cannot be read: malformed Contact")
    ends(world, call.call_id)
    assert not world.caller.got("BYE")
    assert world.in_use("FS1") == 1
    assert world.told(CallNotEnded) == [CallNotEnded(call.call_id, "FS1", why)]


def test_a_call_that_can_be_ended_has_no_obstacle(world: World) -> None:
    call, _ = standing(world)
    assert world.edge.why_not_ended(call.call_id) == ""
    ends(world, call.call_id)
    assert not world.told(CallNotEnded)


@pytest.mark.parametrize("back", [True, False])
def test_a_browser_whose_connection_was_cut_a_moment_ago_is_told_when_it_is_back(back: bool) -> None:
    world = edge()
    world.advance(100)
    agent = browser(world, 1)
    registers(agent, CONTACT)
    call = agent.invite(f"sip:9196@{EDGE}", f"Contact: {CONTACT}")
    node = call.establish()
    agent.closes("connection reset by peer")
    ends(world, call.call_id)
    assert node.got("BYE")
    world.advance(1)
    if back:
        again = browser(world, 2)
        registers(again, CONTACT, call_id="back")
        world.advance(0)
        assert bye(again)["call-id"] == call.call_id
    world.advance(60)
    assert world.edge.open_transactions() == 0
