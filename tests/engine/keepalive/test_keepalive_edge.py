"""Keep-alives of an edge to the agents that have registered over it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.boundary import Reconfigure
from engine.config import KeepAliveConfig
from engine.edge import EdgeSettings
from engine.notes import ContactBound, ContactUnbound, MessageDropped
from tests.engine.harness import Peer, World
from tests.engine.registrar.registering import asked, asks, browser, calls, edge, grants, phone, registers


def options(peer: Peer) -> int:
    return len(peer.got("OPTIONS"))


def lives(world: World, agent: Peer, seconds: int, status: int = 200) -> None:
    """Time passes; the agent answers each OPTIONS."""
    for _ in range(seconds):
        before = options(agent)
        world.advance(1.0)
        if options(agent) > before:
            agent.replies(agent.got("OPTIONS")[-1], status, tag="k")


@pytest.mark.parametrize("status", [200, 404, 486, 501])
def test_an_agent_that_answers_whatever_it_says_stays_bound(status: int) -> None:
    world = edge(keep_alive=KeepAliveConfig(interval_s=25.0))
    agent = phone(world)
    registers(agent, granted_s=600)
    lives(world, agent, 550, status)
    assert options(agent) in range(20, 24)
    assert world.told(ContactUnbound) == []
    assert world.told(MessageDropped) == []


def test_one_that_is_silent_is_given_up_before_it_expires() -> None:
    world = edge(keep_alive=KeepAliveConfig(interval_s=25.0, missed=3))
    agent = phone(world)
    registers(agent, granted_s=600)
    world.advance(110.0)
    assert options(agent) == 3
    assert [note.why for note in world.told(ContactUnbound)] == ["3 keep-alives unanswered"]
    world.advance(100.0)
    assert options(agent) == 3


def test_who_needs_none_gets_none() -> None:
    world = edge(keep_alive=KeepAliveConfig())
    public, web = phone(world, 5060, "203.0.113.50"), browser(world)
    registers(public, "<sip:1000@203.0.113.50:5060>")
    registers(web, "<sip:1001@ab12cd.invalid;transport=ws>", user="1001")
    for _ in range(100):
        world.advance(1.0)
        web.pongs()
    assert options(public) == options(web) == 0
    assert [note.nat for note in world.told(ContactBound)] == [
        (),
        ("Contact is not where it came from", "came over WebSocket"),
    ]


def test_a_phone_whose_contact_was_mended_by_stun_is_behind_a_nat_all_the_same() -> None:
    world = edge(keep_alive=KeepAliveConfig())
    agent = phone(world, 41_000)
    registers(agent, f"<sip:1000@{agent.host_port}>", via="SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bK1;rport")
    lives(world, agent, 60)
    assert options(agent) >= 2


def test_an_old_phone_behind_a_nat_is_answered_where_it_came_from_unasked() -> None:
    """It does not know rport (RFC 3581)."""
    world = edge(keep_alive=KeepAliveConfig())
    agent = phone(world, 41_000)
    exchange = registers(agent, via="SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bK1")
    assert exchange.final.status == 200
    calls(asked(world))
    assert len(agent.got("INVITE")) == 1
    lives(world, agent, 60)
    assert options(agent) >= 2


def test_they_end_with_the_registration() -> None:
    world = edge(keep_alive=KeepAliveConfig())
    agent = phone(world)
    registers(agent, granted_s=600)
    lives(world, agent, 60)
    asks(agent, expires=0, cseq=2)
    grants(world, 0)
    before = options(agent)
    world.advance(100.0)
    assert options(agent) == before > 0


def test_after_a_move_they_go_to_the_new_place() -> None:
    world = edge(keep_alive=KeepAliveConfig())
    before, after = phone(world, 41_000), phone(world, 41_001)
    registers(before, call_id="r")
    lives(world, before, 60)
    asks(after, call_id="r", cseq=2)  # the NAT has given it another port
    grants(world)
    sent = options(before)
    lives(world, after, 100)
    assert options(before) == sent
    assert options(after) >= 3
    calls(asked(world))
    assert after.got("INVITE")


def test_they_can_be_switched_off() -> None:
    world = edge(keep_alive=KeepAliveConfig())
    agent = phone(world)
    registers(agent, granted_s=600)
    lives(world, agent, 60)
    config = replace(world.config, keep_alive=KeepAliveConfig(method="none"))
    world.happen(Reconfigure(EdgeSettings(config, world.policy)))
    before = options(agent)
    world.advance(200.0)
    assert options(agent) == before
    assert world.edge.open_bindings() == 1
