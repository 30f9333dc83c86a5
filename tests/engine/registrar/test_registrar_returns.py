"""A browser whose WebSocket was cut is back within seconds: what is for it meanwhile waits, and is not lost."""

from __future__ import annotations

import pytest

from engine.config import RegistrarConfig
from engine.notes import RequestHeld, RequestRefused, RequestResumed
from tests.engine.harness import Exchange, NodePeer, Peer, World
from tests.engine.registrar.registering import INSTANCE, asked, browser, calls, edge, registers, stored
from tests.engine.wire import reply

CONTACT = f"<sip:x7k2@ab12cd.invalid;transport=ws>;{INSTANCE}"
ANSWER = "Contact: <sip:x7k2@ab12cd.invalid;transport=ws>"
WAIT_S = RegistrarConfig().flow_wait_s


def cut_off(settings: RegistrarConfig | None = None) -> tuple[World, NodePeer, str]:
    """A browser was registered and is cut off; its node, and what that stored."""
    world = edge(settings)
    world.advance(100)
    agent = browser(world, 1)
    registers(agent, CONTACT)
    node = asked(world)
    agent.closes("connection reset by peer")
    return world, node, stored(node)


def comes_back(world: World, number: int = 2, contact: str = CONTACT) -> Peer:
    back = browser(world, number)
    registers(back, contact, call_id=f"back-{number}")
    world.advance(0)
    return back


def answered(agent: Peer, call: Exchange) -> None:
    agent.replies(agent.got("INVITE")[-1], 200, ANSWER, tag="a")
    call.ack()


# --- calls


@pytest.mark.parametrize("on_flow_lost", ["remove", "mark"])
def test_a_call_that_comes_meanwhile_waits_for_the_browser(on_flow_lost: str) -> None:
    world, node, contact = cut_off(RegistrarConfig(on_flow_lost=on_flow_lost))  # type: ignore[arg-type]
    world.advance(1)
    call = calls(node, contact)
    assert call.statuses == [100]
    world.advance(1)
    back = comes_back(world)
    answered(back, call)
    assert call.statuses == [100, 200]
    assert world.told(RequestHeld)[0].up_to_s == pytest.approx(WAIT_S - 1)
    assert world.told(RequestResumed)[0].held_s == pytest.approx(1)


def test_it_rings_after_the_browser_was_told_that_it_is_registered() -> None:
    world, node, contact = cut_off()
    calls(node, contact)
    back = comes_back(world)
    assert [wire.start.split(" ")[0] for wire in back.inbox] == ["SIP/2.0", "INVITE"]


def test_a_browser_that_stays_away_is_waited_for_so_long_and_no_longer() -> None:
    world, node, contact = cut_off()
    call = calls(node, contact)
    world.advance(WAIT_S - 0.1)
    assert call.statuses == [100]
    world.advance(0.1)
    assert call.statuses == [100, 430]
    assert world.told(RequestRefused)[-1].status == 430
    assert calls(node, contact).statuses == [430]  # at once


def test_it_is_reached_at_the_contact_with_which_it_comes_back() -> None:
    world, node, contact = cut_off()
    calls(node, contact)
    back = comes_back(world, contact=f"<sip:new@other.invalid;transport=ws>;{INSTANCE}")
    assert back.got("INVITE")[0].uri == "sip:new@other.invalid;transport=ws"


def test_the_caller_may_give_up_meanwhile() -> None:
    world, node, contact = cut_off()
    call = calls(node, contact)
    call.cancel()
    assert 487 in call.statuses
    call.refuse_ack()
    assert comes_back(world).got("INVITE") == []
    world.advance(60)
    assert world.edge.open_transactions() == 0


def test_a_call_that_was_ringing_rings_on_over_the_next_connection() -> None:
    world = edge()
    world.advance(100)
    agent = browser(world, 1)
    registers(agent, CONTACT)
    call = calls(asked(world))
    agent.replies(agent.got("INVITE")[0], 180, ANSWER, tag="a")
    agent.closes("connection reset by peer")
    world.advance(2)
    assert call.statuses == [100, 180]
    back = comes_back(world)
    assert back.got("INVITE")[0].branch != agent.got("INVITE")[0].branch
    answered(back, call)
    assert call.statuses == [100, 180, 200]


def test_it_is_waited_for_as_often_as_it_is_cut_off() -> None:
    world, node, contact = cut_off()
    call = calls(node, contact)
    for number in (2, 3, 4):
        world.advance(2)
        back = comes_back(world, number)
        assert len(back.got("INVITE")) == 1
        back.closes("connection reset by peer")
    world.advance(2)
    answered(comes_back(world, 5), call)
    assert call.statuses == [100, 200]


# --- in calls


def in_a_call() -> tuple[World, Peer, NodePeer, Exchange]:
    world = edge()
    world.advance(100)
    agent = browser(world, 1)
    registers(agent, CONTACT)
    node = asked(world)
    call = calls(node)
    answered(agent, call)
    return world, agent, node, call


def test_a_bye_that_comes_meanwhile_ends_the_call_on_both_sides() -> None:
    world, agent, node, call = in_a_call()
    agent.closes("connection reset by peer")
    call.bye()
    assert node.statuses("BYE") == []
    world.advance(2)
    back = comes_back(world)
    back.replies(back.got("BYE")[0], 200)
    assert node.statuses("BYE") == [200]


def test_a_bye_that_was_lost_with_the_connection_is_sent_again() -> None:
    world, agent, node, call = in_a_call()
    call.bye()
    agent.closes("connection reset by peer")
    back = comes_back(world)
    back.replies(back.got("BYE")[0], 200)
    assert node.statuses("BYE") == [200]


def test_what_was_answered_is_not_sent_again() -> None:
    world, agent, node, call = in_a_call()
    call.bye()
    agent.replies(agent.got("BYE")[0], 200)
    agent.closes("connection reset by peer")
    assert comes_back(world).inbox[1:] == []
    assert node.statuses("BYE") == [200]


# --- who is not waited for


def test_one_that_took_its_leave() -> None:
    world = edge()
    world.advance(100)
    agent = browser(world, 1)
    registers(agent, CONTACT)
    agent.leaves()
    assert calls(asked(world)).statuses == [430]
    assert not world.told(RequestHeld)


def test_nobody_where_that_is_not_wanted() -> None:
    _, node, contact = cut_off(RegistrarConfig(flow_wait_s=0))
    assert calls(node, contact).statuses == [430]


def test_a_call_under_way_ends_at_once_where_nobody_is_waited_for() -> None:
    world = edge(RegistrarConfig(flow_wait_s=0))
    agent = browser(world, 1)
    registers(agent, CONTACT)
    call = calls(asked(world))
    agent.replies(agent.got("INVITE")[0], 180, ANSWER, tag="a")
    agent.closes()
    assert call.statuses == [100, 180, 430]


# --- the edge was started anew


def test_browsers_of_an_earlier_life_are_waited_for_from_its_end_on() -> None:
    secret = RegistrarConfig(secret="shared by two lives")
    before = edge(secret)
    registers(browser(before, 1), CONTACT)
    node, contact = asked(before).name, stored(asked(before))
    after = edge(secret, seed=99)
    after.advance(1)
    call = calls(after.node(node), contact)
    assert call.statuses == [100]
    answered(comes_back(after), call)
    assert call.statuses == [100, 200]


# --- what is left


def test_nothing_is_kept_of_what_has_waited() -> None:
    world, node, contact = cut_off()
    for _ in range(50):
        calls(node, contact)
    world.advance(WAIT_S)
    for invite in [wire for wire in node.inbox if wire.status == 430]:
        node.sends(reply(invite, 430).replace(b"SIP/2.0 430 Flow Failed", b"ACK sip:x SIP/2.0", 1))
    world.advance(100)
    assert world.edge.open_transactions() == 0
    assert len(world.edge._registrar.returns) == 0
