"""Registering in mode ``contact``: what the nodes store is this edge, what the agents get back is their own."""

from __future__ import annotations

import re

import pytest

from engine.config import ProbeConfig, RegistrarConfig
from engine.notes import ContactBound, ContactUnbound
from tests.engine.harness import Peer
from tests.engine.registrar.registering import (
    INSTANCE,
    accepts,
    ask_only,
    asked,
    asks,
    browser,
    calls,
    edge,
    grants,
    last_invite,
    phone,
    registers,
    shown,
    stored,
    told,
)
from tests.engine.wire import param, uri_of

# --- what the node is shown


def test_the_node_stores_the_address_that_faces_it_and_a_token() -> None:
    world = edge()
    asks(phone(world))
    assert re.fullmatch(r"sip:flow-[A-Za-z0-9_-]+@10\.0\.0\.1:5060", stored(asked(world)))


def test_the_node_sees_nothing_of_the_agents_network() -> None:
    world = edge()
    asks(browser(world), "<sip:x7k2@ab12cd.invalid;transport=ws>")
    register = asked(world).got("REGISTER")[0]
    assert len(register.all("contact")) == 1
    assert "transport" not in register["contact"]
    assert "invalid" not in register["contact"]
    assert "path" not in register


def test_parameters_of_the_contact_stay_but_reg_id() -> None:
    """reg-id is between the agent and its edge."""
    world = edge()
    asks(phone(world), f"<sip:1000@192.168.1.20>;q=0.5;{INSTANCE};reg-id=1")
    value = shown(asked(world))[0]
    assert ";q=0.5" in value
    assert INSTANCE in value
    assert "reg-id" not in value


@pytest.mark.parametrize(
    ("written", "expires", "node_sees"),
    [
        ("<sip:1000@192.168.1.20>", 600, "600"),
        ("<sip:1000@192.168.1.20>;expires=700", 600, "700"),
        ("<sip:1000@192.168.1.20>", None, "3600"),
        ("<sip:1000@192.168.1.20>;expires=soon", None, "3600"),  # §10.3: malformed counts as an hour
        ("<sip:1000@192.168.1.20>", 4_000_000_000, "1800"),
        ("<sip:1000@192.168.1.20>", 0, "0"),
    ],
)
def test_the_expiry_asked_of_the_node(written: str, expires: int | None, node_sees: str) -> None:
    world = edge(RegistrarConfig(node_max_expires_s=1800 if expires and expires > 3600 else 3600))
    asks(phone(world), written, expires=expires)
    assert param(shown(asked(world))[0], "expires") == node_sees


def test_a_refresh_shows_the_same_contact() -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    before = stored(asked(world))
    registers(agent, cseq=2)
    assert stored(asked(world)) == before


def test_a_browser_that_connects_again_is_the_same_contact_to_the_node() -> None:
    """Else a node that keeps several contacts of a user would call the one browser twice."""
    world = edge()
    first = browser(world, 1)
    registers(first, "<sip:x7k2@ab12cd.invalid;transport=ws>")
    before = stored(asked(world))
    first.closes()
    registers(browser(world, 2), "<sip:x7k2@ab12cd.invalid;transport=ws>", call_id="another")
    assert stored(asked(world)) == before


# --- what the agent is told


def test_the_agent_gets_back_its_own_contact() -> None:
    world = edge()
    register = registers(phone(world), f"<sip:1000@192.168.1.20:5060;ob>;{INSTANCE};q=0.7")
    assert told(register) == [f"<sip:1000@192.168.1.20:5060;ob>;{INSTANCE.lower()};q=0.7;expires=180"]


def test_the_agent_is_told_the_nodes_expiry_within_its_own_bounds() -> None:
    world = edge(RegistrarConfig(agent_max_expires_s=90))
    assert param(told(registers(phone(world)))[0], "expires") == "90"


def test_an_agent_that_asks_for_less_than_the_node_grants_gets_what_it_asked_for() -> None:
    world = edge()
    assert param(told(registers(phone(world), expires=70))[0], "expires") == "70"


def test_a_grant_in_the_expires_header_alone_counts() -> None:
    world = edge()
    register = asks(phone(world))
    accepts(asked(world), "Expires: 150")
    assert told(register) == ["<sip:1000@192.168.1.20:5060>;expires=150"]
    assert "expires" not in register.final


def test_other_contacts_of_the_user_are_listed_as_their_agents_wrote_them() -> None:
    world = edge()
    registers(phone(world, 41_001), "<sip:1000@192.168.1.21>")
    other = stored(asked(world))
    world.advance(30)
    register = asks(phone(world, 41_002), "<sip:1000@192.168.1.22>")
    grants(world, 180, f"<{other}>;expires=150")
    assert told(register) == ["<sip:1000@192.168.1.21>;expires=150", "<sip:1000@192.168.1.22>;expires=180"]


def test_a_challenge_passes_untouched_and_its_answer_goes_to_the_same_node() -> None:
    """A nonce is good at the node that made it; whatever the policy would choose."""
    world = edge(nodes=("FS1", "FS2", "FS3", "FS4"))
    for number in range(20):
        agent = phone(world, 42_000 + number)
        first = asks(agent, user=f"{1000 + number}")
        node = asked(world)
        challenge = 'WWW-Authenticate: Digest realm="x", nonce="n", algorithm=MD5, qop="auth"'
        node.answer(401, challenge, method="REGISTER", tag="fs")
        assert first.final["www-authenticate"] == challenge.partition(": ")[2]
        asks(agent, user=f"{1000 + number}", cseq=2, to=f"<sip:{2000 + number}@192.0.2.1>")
        assert asked(world) is node


def test_the_home_of_a_registration_is_preferred_and_the_decision_says_so() -> None:
    world = edge(nodes=("FS1", "FS2", "FS3", "FS4"))
    registers(phone(world, 41_001))
    home = asked(world)
    asks(phone(world, 41_002), "<sip:1000@192.168.1.22>")
    assert asked(world) is home
    world.order(home.name, "drain")
    asks(phone(world, 41_003), "<sip:1000@192.168.1.23>")
    assert asked(world) is not home


# --- what is kept


def test_a_contact_is_bound_after_the_nodes_2xx_alone() -> None:
    world = edge()
    agent = phone(world)
    asks(agent)
    asked(world).answer(401, method="REGISTER", tag="fs")
    assert world.edge.open_bindings() == 0
    asks(agent, cseq=2)
    asked(world).answer(403, method="REGISTER", tag="fs")
    assert world.edge.open_bindings() == 0
    registers(agent, cseq=3)
    assert world.edge.open_bindings() == 1
    note = world.told(ContactBound)[0]
    assert (note.aor, note.contact) == ("1000@192.0.2.1", "sip:1000@192.168.1.20:5060")
    assert (note.place, note.node) == ("203.0.113.9:41000", asked(world).name)


def test_a_contact_is_forgotten_when_its_agent_does_not_refresh() -> None:
    world = edge()
    registers(phone(world))
    world.advance(179)
    assert world.edge.open_bindings() == 1
    world.advance(2)
    assert world.edge.open_bindings() == 0
    assert world.told(ContactUnbound)[0].why == "expired"


def test_a_refresh_keeps_it() -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    for number in range(2, 6):
        world.advance(100)
        registers(agent, cseq=number)
    assert world.edge.open_bindings() == 1
    assert len(world.told(ContactBound)) == 1


@pytest.mark.parametrize(("contact", "expires"), [("<sip:1000@192.168.1.20:5060>", 0), ("*", 0)])
def test_a_contact_that_is_withdrawn_is_forgotten_when_the_node_agrees(contact: str, expires: int) -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    register = asks(agent, contact, expires=expires, cseq=2)
    assert world.edge.open_bindings() == 1
    accepts(asked(world), "Date: Mon, 23 Nov 2026 17:51:05 GMT")
    assert world.edge.open_bindings() == 0
    assert told(register) == []
    assert world.told(ContactUnbound)[0].why == "withdrawn"


def test_withdrawing_one_contact_leaves_the_others() -> None:
    world = edge()
    one, other = phone(world, 41_001), phone(world, 41_002)
    registers(one, "<sip:1000@192.168.1.21>")
    registers(other, "<sip:1000@192.168.1.22>")
    left = stored(asked(world))
    register = asks(one, "<sip:1000@192.168.1.21>", expires=0, cseq=2)
    accepts(asked(world), f"Contact: <{left}>;expires=180")
    assert told(register) == ["<sip:1000@192.168.1.22>;expires=180"]


def test_an_agent_that_comes_from_elsewhere_is_known_by_its_instance() -> None:
    world = edge()
    registers(phone(world, 41_001), f"<sip:a@192.168.1.20>;{INSTANCE}")
    register = registers(phone(world, 41_002), f"<sip:b@10.9.8.7>;{INSTANCE}")
    assert world.edge.open_bindings() == 1
    assert len(told(register)) == 1


def test_a_question_lists_what_is_bound() -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    question = ask_only(agent)
    assert "contact" not in asked(world).got("REGISTER")[-1]
    accepts(asked(world))
    assert told(question) == ["<sip:1000@192.168.1.20:5060>;expires=180"]


# --- calls from the node


def test_a_call_to_what_the_node_stored_reaches_the_agent_at_its_own_contact() -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    node = asked(world)
    call = calls(node)
    invite = last_invite(agent)
    assert invite.flow == agent.flow
    assert invite.uri == "sip:1000@192.168.1.20:5060"
    assert "route" not in invite
    agent.replies(invite, 200, "Contact: <sip:1000@192.168.1.20:5060>", tag="a")
    assert call.statuses == [100, 200]
    call.ack()
    assert len(agent.got("ACK")) == 1
    call.bye()
    assert agent.got("BYE")[0].flow == agent.flow


@pytest.mark.parametrize("interface", ["ws", "wss", "tls", "stream"])
def test_an_agent_on_a_connection_is_reached_on_that_very_connection(interface: str) -> None:
    world = edge()
    agents = [browser(world, number, interface) for number in (1, 2, 3)]
    for number, agent in enumerate(agents):
        registers(agent, f"<sip:x{number}@ab12cd.invalid;transport=ws>", user=f"100{number}")
        call = calls(asked(world))
        invite = last_invite(agent)
        assert invite.flow == agent.flow
        assert invite.uri == f"sip:x{number}@ab12cd.invalid;transport=ws"
        transport = {"stream": "TCP"}.get(interface, interface.upper())
        assert invite.all("via")[0].startswith(f"SIP/2.0/{transport} 192.0.2.1:")
        agent.replies(invite, 200, "Contact: <sip:x@ab12cd.invalid;transport=ws>", tag="a")
        call.ack()
        hang_up_both_ways(agent, call.bye().all("via")[0])


def hang_up_both_ways(agent: Peer, via: str) -> None:
    bye = agent.got("BYE")[0]
    assert bye.flow == agent.flow
    assert bye.all("via")[1].startswith(via.split(";")[0])


def test_each_contact_of_a_user_is_called_by_itself() -> None:
    world = edge()
    one, other = phone(world, 41_001), phone(world, 41_002)
    registers(one, "<sip:1000@192.168.1.21>")
    first = stored(asked(world))
    registers(other, "<sip:1000@192.168.1.22>")
    calls(asked(world), first)
    assert (len(one.got("INVITE")), len(other.got("INVITE"))) == (1, 0)


def test_every_method_is_delivered() -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    for method in ("OPTIONS", "NOTIFY", "MESSAGE"):
        asked(world).request(method, stored(asked(world)))
        assert agent.got(method)[0].uri == "sip:1000@192.168.1.20:5060"


def test_an_agent_that_was_replaced_is_reached_where_it_is_now() -> None:
    world = edge()
    old, new = phone(world, 41_001), phone(world, 41_002)
    registers(old, f"<sip:a@192.168.1.20>;{INSTANCE}")
    token = stored(asked(world))
    registers(new, f"<sip:b@10.9.8.7>;{INSTANCE}")
    calls(asked(world), token)
    assert old.got("INVITE") == []
    assert last_invite(new).uri == "sip:b@10.9.8.7"


def test_a_node_that_asks_for_a_user_by_name_gets_404() -> None:
    world = edge()
    registers(phone(world))
    assert calls(asked(world), "sip:1000@10.0.0.1").statuses == [404]


def test_the_contact_stands_in_angle_brackets_with_its_display_name() -> None:
    world = edge()
    register = registers(phone(world), '"Ann, B." <sip:1000@192.168.1.20>')
    assert '"Ann, B." <sip:flow-' in asked(world).got("REGISTER")[0]["contact"]
    assert uri_of(register.final["contact"]) == "sip:1000@192.168.1.20"


# --- nodes that are slow


@pytest.mark.parametrize("names", [("FS1",), ("FS1", "FS2")], ids=["one node", "two nodes"])
def test_the_last_node_gets_all_the_time_it_needs(names: tuple[str, ...]) -> None:
    """As after a storm: an agent that is refused may stay away."""
    world = edge(nodes=names)
    agent = phone(world)
    call = asks(agent)
    world.advance(0.7 * len(names))
    assert [len(node.got("REGISTER")) > 0 for node in world.nodes] == [True] * len(names)
    world.advance(2.0)
    assert call.statuses == []
    grants(world)
    assert call.statuses == [200]


def test_a_dead_node_is_waited_for_no_longer_than_the_agent_waits() -> None:
    world = edge(nodes=("FS1",))
    call = asks(phone(world))
    world.advance(31.0)
    assert call.statuses == [503]


def test_one_that_probes_find_dead_is_not_waited_for_at_all() -> None:
    world = edge(nodes=("FS1",), probe=ProbeConfig(mode="always", interval_s=1.0, timeout_s=0.5, leave_after=2))
    world.node("FS1").alive = False
    call = asks(phone(world))
    world.advance(5.0)
    assert world.state("FS1") == "down"
    assert call.statuses == [503]
