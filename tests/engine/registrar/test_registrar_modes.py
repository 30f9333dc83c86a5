"""The other two modes: the agent's Contact with this edge as Path (RFC 3327), and the address it sends from."""

from __future__ import annotations

import pytest

from engine.config import RegistrarConfig
from tests.engine.registrar.registering import (
    INSTANCE,
    accepts,
    asked,
    asks,
    browser,
    edge,
    grants,
    last_invite,
    phone,
    registers,
    shown,
    stored,
    told,
)

PATH = RegistrarConfig(mode="path")
DIRECT = RegistrarConfig(mode="direct")

# --- path


def test_the_node_stores_the_contact_and_a_path_with_a_token() -> None:
    world = edge(PATH)
    asks(phone(world))
    register = asked(world).got("REGISTER")[0]
    assert shown(asked(world)) == ["<sip:1000@192.168.1.20:5060>;expires=600"]
    assert len(register.all("path")) == 1
    assert register["path"].startswith("<sip:flow-")
    assert register["path"].endswith("@10.0.0.1:5060;lr>")


@pytest.mark.parametrize(("strip", "seen"), [(True, "x@a.invalid"), (False, "x@a.invalid;transport=ws")])
def test_the_transport_is_kept_from_the_node_where_that_is_wanted(strip: bool, seen: str) -> None:
    """FreeSWITCH would offer WebRTC media to what says ;transport=ws."""
    world = edge(RegistrarConfig(mode="path", strip_transport=strip))
    agent = browser(world)
    register = registers(agent, "<sip:x@a.invalid;transport=ws>")
    node = asked(world)
    assert stored(node) == f"sip:{seen}"
    assert told(register) == ["<sip:x@a.invalid;transport=ws>;expires=180"]
    call = node.invite(stored(node), f"Route: {node.got('REGISTER')[0]['path']}")
    assert last_invite(agent).uri == "sip:x@a.invalid;transport=ws"
    assert last_invite(agent).flow == agent.flow
    assert "route" not in last_invite(agent)
    assert call.statuses == [100]


def test_a_route_that_lost_its_lr_leads_there_too() -> None:
    """FreeSWITCH writes none for fs_path."""
    world = edge(PATH)
    agent = phone(world)
    registers(agent)
    node = asked(world)
    route = node.got("REGISTER")[0]["path"].replace(";lr", "")
    node.invite(stored(node), f"Route: {route}")
    assert last_invite(agent).uri == "sip:1000@192.168.1.20:5060"


def test_the_path_that_the_node_repeats_is_not_the_agents_business() -> None:
    world = edge(PATH)
    register = asks(phone(world), lines=["Path: <sip:proxy.example.com;lr;ob>"])
    node = asked(world)
    path = node.got("REGISTER")[0].all("path")
    assert path[1] == "<sip:proxy.example.com;lr;ob>"
    accepts(node, f"Path: {', '.join(path)}", "Contact: <sip:1000@192.168.1.20:5060>;expires=180")
    assert register.final.all("path") == ["<sip:proxy.example.com;lr;ob>"]


def test_an_agent_that_moved_is_reached_by_its_old_path() -> None:
    world = edge(PATH)
    registers(phone(world, 41_001), f"<sip:1000@192.168.1.20>;{INSTANCE}")
    node = asked(world)
    path = node.got("REGISTER")[0]["path"]
    moved = phone(world, 41_002)
    registers(moved, f"<sip:1000@192.168.1.20>;{INSTANCE}", call_id="anew")
    node.invite("sip:1000@192.168.1.20", f"Route: {path}")
    assert len(moved.got("INVITE")) == 1


def test_a_stranger_cannot_use_a_path() -> None:
    world = edge(PATH)
    registers(phone(world))
    node = asked(world)
    route = f"Route: {node.got('REGISTER')[0]['path']}"
    assert world.peer("203.0.113.66").invite(stored(node), route).statuses == [403]


# --- direct contact


def test_the_node_stores_the_address_that_the_agent_sends_from() -> None:
    world = edge(DIRECT)
    register = registers(phone(world, 41_000), "<sip:1000@192.168.1.20:5060;x=y>")
    assert stored(asked(world)) == "sip:1000@203.0.113.9:41000;x=y"
    assert "path" not in asked(world).got("REGISTER")[0]
    assert told(register) == ["<sip:1000@192.168.1.20:5060;x=y>;expires=180"]


def test_direct_over_ipv6() -> None:
    world = edge(DIRECT)
    via = "SIP/2.0/UDP [fd00::1]:5060;branch=z9hG4bKv6;rport"
    asks(world.peer("2001:db8::7", 5062), "<sip:1000@[fd00::1]>", via=via)
    assert stored(asked(world)) == "sip:1000@[2001:db8::7]:5062"


def test_other_contacts_are_known_again_in_the_nodes_list() -> None:
    world = edge(DIRECT)
    registers(phone(world, 41_001), "<sip:1000@192.168.1.21>")
    first = stored(asked(world))
    register = asks(phone(world, 41_002), "<sip:1000@192.168.1.22>")
    grants(world, 180, f"<{first}>;expires=170", "<sip:deskphone@198.51.100.40>;expires=99")
    assert told(register) == [
        "<sip:1000@192.168.1.21>;expires=180",
        "<sip:1000@192.168.1.22>;expires=180",
        "<sip:deskphone@198.51.100.40>;expires=99",
    ]
