"""Refreshes that the edge answers itself: the agent's expiry is short, the node's grant is long."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config import RegistrarConfig, StreamsConfig
from engine.notes import RefreshAnswered
from tests.engine.harness import World
from tests.engine.registrar.registering import (
    INSTANCE,
    asked,
    asks,
    browser,
    edge,
    phone,
    registers,
    told,
)
from tests.engine.wire import param

SHORT = RegistrarConfig(agent_max_expires_s=60, node_min_expires_s=1800)
CONTACT = f"<sip:1000@192.168.1.20>;{INSTANCE}"


def relayed(world: World) -> int:
    """How many REGISTERs the nodes got."""
    return sum(len(node.got("REGISTER")) for node in world.nodes)


def test_an_unchanged_refresh_is_answered_here() -> None:
    world = edge(SHORT)
    agent = phone(world)
    assert param(told(registers(agent, CONTACT, granted_s=1800))[0], "expires") == "60"
    for number in range(2, 30):
        world.advance(50)
        refresh = asks(agent, CONTACT, cseq=number)
        assert refresh.statuses == [200]
        assert param(told(refresh)[0], "expires") == "60"
    assert relayed(world) == 1
    assert world.edge.open_bindings() == 1
    assert world.told(RefreshAnswered)[0].aor == "1000@192.0.2.1"


def test_a_refresh_that_outlives_the_grant_goes_to_the_node() -> None:
    world = edge(SHORT)
    agent = phone(world)
    registers(agent, CONTACT, granted_s=1800)
    for number in range(2, 40):
        world.advance(50)
        if asks(agent, CONTACT, cseq=number).statuses != [200]:
            break
    assert world.now == 1750
    assert relayed(world) == 2


def test_freeswitchs_forced_grant_leaves_nothing_to_throttle_unless_agents_are_told_less() -> None:
    world = edge()
    agent = phone(world)
    registers(agent, CONTACT, expires=3600)
    world.advance(100)
    assert asks(agent, CONTACT, expires=3600, cseq=2).statuses == []
    assert relayed(world) == 2


@pytest.mark.parametrize(
    ("contact", "parts"),
    [
        (CONTACT, {"call_id": "another"}),
        (CONTACT + ";q=0.5", {}),
        (f"<sip:1000@192.168.1.99>;{INSTANCE}", {}),
        (CONTACT + ", <sip:1000@192.168.1.21>", {}),
        (CONTACT, {"expires": 0}),
    ],
    ids=["another Call-ID", "other parameters", "another address", "one more contact", "withdrawn"],
)
def test_what_changes_goes_to_the_node(contact: str, parts: dict[str, Any]) -> None:
    world = edge(SHORT)
    agent = phone(world)
    registers(agent, CONTACT, granted_s=1800)
    asks(agent, contact, **{"cseq": 2, **parts})
    assert relayed(world) == 2


def test_another_flow_goes_to_the_node() -> None:
    world = edge(SHORT)
    registers(phone(world, 41_000), CONTACT, granted_s=1800, call_id="same")
    asks(phone(world, 41_001), CONTACT, cseq=2, call_id="same")
    assert relayed(world) == 2


def test_a_contact_that_the_node_lists_no_more_goes_to_the_node() -> None:
    """FreeSWITCH keeps one contact a user: the second one has taken the first one's place."""
    world = edge(SHORT)
    one, other = phone(world, 41_001), phone(world, 41_002)
    registers(one, "<sip:1000@192.168.1.21>", granted_s=1800)
    registers(other, "<sip:1000@192.168.1.22>", granted_s=1800)
    world.advance(30)
    asks(other, "<sip:1000@192.168.1.22>", cseq=2)
    assert relayed(world) == 2
    asks(one, "<sip:1000@192.168.1.21>", cseq=2)
    assert relayed(world) == 3


def test_it_can_be_switched_off() -> None:
    world = edge(RegistrarConfig(agent_max_expires_s=60, node_min_expires_s=1800, throttle=False))
    agent = phone(world)
    registers(agent, CONTACT, granted_s=1800)
    asks(agent, CONTACT, cseq=2)
    assert relayed(world) == 2


def test_a_throttled_refresh_keeps_the_connection() -> None:
    world = edge(SHORT, streams=StreamsConfig(ping_interval_s=0, idle_s=20))
    agent = browser(world)
    registers(agent, CONTACT, granted_s=1800)
    for number in range(2, 10):
        world.advance(50)
        asks(agent, CONTACT, cseq=number)
    assert world.closed == []
    assert world.edge.open_bindings() == 1
    assert asked(world).got("REGISTER")[1:] == []
