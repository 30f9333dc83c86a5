"""Nodes that share nothing: the agents of one that is lost get another, without a storm."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config import RegistrarConfig, StreamsConfig
from engine.notes import ContactOrphaned, ContactRehomed
from tests.engine.harness import NodePeer, World
from tests.engine.registrar.registering import (
    INSTANCE,
    asked,
    asks,
    browser,
    edge,
    grants,
    phone,
    registers,
    told,
)
from tests.engine.wire import param

ALONE = RegistrarConfig(shared=False, rehome_window_s=20, node_min_expires_s=1800)
UNPINGED = StreamsConfig(ping_interval_s=0)


def kill(world: World, node: NodePeer) -> None:
    node.alive = False
    node.unreachable()


def world_of(settings: RegistrarConfig = ALONE, **others: Any) -> World:
    return edge(settings, nodes=("FS1", "FS2"), streams=UNPINGED, **others)


def test_browsers_lose_their_connections_one_by_one_within_the_window() -> None:
    world = world_of()
    for number in range(1, 41):
        registers(browser(world, number), f"<sip:x{number}@a.invalid>", user=f"u{number}", granted_s=1800)
    orphans = [node for node in world.nodes if len(node.got("REGISTER")) > 10]
    lost = orphans[0]
    theirs = len(lost.got("REGISTER"))
    kill(world, lost)
    notes = world.told(ContactOrphaned)
    assert len(notes) == theirs
    assert {note.node for note in notes} == {lost.name}
    assert world.closed == []
    world.advance(10)
    assert 0.2 * theirs < len(world.closed) < 0.8 * theirs
    world.advance(11)
    assert len(world.closed) == theirs
    assert world.edge.open_bindings() == 40 - theirs


def test_a_phones_next_refresh_goes_to_a_node_that_lives() -> None:
    world = world_of()
    agent = phone(world)
    registers(agent, granted_s=1800)
    home = asked(world)
    kill(world, home)
    world.advance(30)
    refresh = asks(agent, cseq=2)
    assert asked(world) is not home
    grants(world, 1800)
    assert refresh.final.status == 200
    rehomed = world.told(ContactRehomed)[0]
    assert (rehomed.aor, rehomed.before, rehomed.after) == ("1000@192.0.2.1", home.name, asked(world).name)
    world.advance(30)
    assert asks(agent, cseq=3).statuses == [200]  # throttled again


def test_phones_are_granted_so_little_that_their_refresh_comes_in_time() -> None:
    world = world_of()
    assert param(told(registers(phone(world), granted_s=1800))[0], "expires") == "60"
    browsers = registers(browser(world), f"<sip:x@a.invalid>;{INSTANCE}", user="1001", granted_s=1800)
    assert param(told(browsers)[0], "expires") == "600"


@pytest.mark.parametrize("order", ["drain", "disable"])
def test_a_node_that_takes_nothing_by_order_is_left_too(order: str) -> None:
    world = world_of()
    agent = browser(world)
    registers(agent, "<sip:x@a.invalid>", granted_s=1800)
    world.order(asked(world).name, order)
    world.advance(21)
    assert world.closed == [agent.flow]


def test_nodes_that_share_their_registrations_need_nothing() -> None:
    world = world_of(RegistrarConfig(node_min_expires_s=1800, agent_max_expires_s=60))
    agents = [browser(world), phone(world)]
    for number, agent in enumerate(agents):
        registers(agent, f"<sip:x{number}@a.invalid>", user=f"u{number}", granted_s=1800)
    for node in world.nodes:
        kill(world, node)
    world.advance(30)
    assert world.closed == []
    assert world.told(ContactOrphaned) == []
    assert asks(agents[1], "<sip:x1@a.invalid>", user="u1", cseq=2).statuses == [200]


def test_a_browser_that_came_back_by_itself_keeps_its_new_connection() -> None:
    world = world_of()
    registers(browser(world, 1), f"<sip:x@a.invalid>;{INSTANCE}", granted_s=1800)
    kill(world, asked(world))
    world.peer("203.0.113.80", 50_001, "wss", 1).closes()
    back = browser(world, 2)
    registers(back, f"<sip:x@a.invalid>;{INSTANCE}", granted_s=1800, call_id="anew")
    world.advance(25)
    assert back.flow not in world.closed
