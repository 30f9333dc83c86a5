"""Requests to tokens: who may use which, where they lead, and what is left when a flow or an edge is gone."""

from __future__ import annotations

import pytest

from engine.config import RegistrarConfig
from engine.notes import RequestRefused
from tests.engine.harness import Exchange, Peer, World
from tests.engine.registrar.registering import (
    INSTANCE,
    asked,
    asks,
    browser,
    calls,
    edge,
    grants,
    last_invite,
    phone,
    registers,
    stored,
    told,
)
from tests.engine.wire import message, uri_of

SECRET = RegistrarConfig(secret="shared by two lives")
BROWSERS_CONTACT = f"<sip:x7k2@ab12cd.invalid;transport=ws>;{INSTANCE}"

# --- whose it is to use


def test_a_stranger_with_a_true_token_is_refused() -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    stranger = world.peer("203.0.113.66")
    assert calls(asked(world), "sip:1000@10.0.0.1").statuses == [404]
    assert stranger.invite(stored(asked(world))).statuses == [403]
    assert agent.got("INVITE") == []
    refused = world.told(RequestRefused)[-1]
    assert (refused.source, refused.status) == ("203.0.113.66:5060", 403)


@pytest.mark.parametrize("change", ["forged", "truncated", "of another edge"])
def test_a_node_with_a_token_that_was_not_made_here_is_refused(change: str) -> None:
    world, elsewhere = edge(), edge(seed=2)
    for each in (world, elsewhere):
        registers(phone(each))
    uri = stored(asked(world))
    user = uri.removeprefix("sip:").partition("@")[0]
    other = {
        "forged": user[:30] + ("A" if user[30] != "A" else "B") + user[31:],
        "truncated": user[:-3],
        "of another edge": stored(asked(elsewhere)).removeprefix("sip:").partition("@")[0],
    }[change]
    call = calls(asked(world), uri.replace(user, other))
    assert call.statuses == [403]
    assert world.told(RequestRefused)[-1].why == "flow token that was not made here"


def test_a_token_in_a_route_serves_its_own_call_alone() -> None:
    """Who was called once must not be able to call back at will, or to give the way to others."""
    world = edge()
    agent, outsider = phone(world), world.peer("203.0.113.66")
    registers(agent)
    agent.invite("sip:9196@192.0.2.1", "Contact: <sip:1000@192.168.1.20>")
    route = world.called().got("INVITE")[0].all("record-route")[1]
    assert "flow-" in route
    for method, to in (("INVITE", "<sip:1000@192.0.2.1>"), ("BYE", "<sip:1000@192.0.2.1>;tag=made-up")):
        outsider.sends(
            message(
                f"{method} sip:1000@192.168.1.20 SIP/2.0",
                f"Via: SIP/2.0/UDP {outsider.host_port};branch=z9hG4bKo{method}",
                f"Route: {route}",
                "From: <sip:a@example.com>;tag=1",
                f"To: {to}",
                "Call-ID: of-its-own",
                f"CSeq: 2 {method}",
            )
        )
    assert outsider.statuses("INVITE")[-1] == 403
    assert outsider.statuses("BYE") == [403]
    assert agent.got("INVITE") == agent.got("BYE") == []


# --- route sets


def test_the_route_set_of_a_callers_call_names_its_flow() -> None:
    world = edge()
    agent = phone(world)
    registers(agent)
    call = agent.invite("sip:9196@192.0.2.1", "Contact: <sip:1000@192.168.1.20>")
    node = world.called()
    inner, outer = node.got("INVITE")[0].all("record-route")
    assert inner.startswith("<sip:10.0.0.1:5060;lr;r2=on")
    assert outer.startswith("<sip:flow-")
    call.establish()
    node.hangs_up()
    bye = agent.got("BYE")[0]
    assert bye.flow == agent.flow  # and not 192.168.1.20
    assert bye.uri == "sip:1000@192.168.1.20"


def test_an_agent_behind_a_nat_needs_no_registration_to_be_hung_up_on() -> None:
    world = edge()
    agent = phone(world)
    agent.invite("sip:9196@192.0.2.1", "Contact: <sip:1000@192.168.1.20>").establish().hangs_up()
    assert agent.got("BYE")[0].flow == agent.flow


def test_an_agent_that_is_where_it_says_is_reached_by_its_contact() -> None:
    world = edge()
    world.caller.invite()
    assert "flow-" not in world.called().got("INVITE")[0]["record-route"]


def test_behind_another_proxy_the_flow_is_that_proxys_business() -> None:
    world = edge()
    agent = phone(world)
    via = f"SIP/2.0/UDP {agent.host_port};branch=z9hG4bKp;rport\r\nVia: SIP/2.0/UDP 10.7.7.7;branch=z9hG4bKq"
    agent.invite("sip:9196@192.0.2.1", "Contact: <sip:1000@192.168.1.20>", via=via)
    assert "flow-" not in world.called().got("INVITE")[0].data.decode()


def test_the_callee_sees_its_own_token_and_its_requests_pass() -> None:
    world = edge()
    agent = browser(world)
    registers(agent, BROWSERS_CONTACT)
    node = asked(world)
    call = calls(node)
    invite = last_invite(agent)
    assert invite.all("record-route")[0].startswith("<sip:flow-")
    agent.replies(invite, 200, "Contact: <sip:x7k2@ab12cd.invalid;transport=ws>", tag="a")
    call.ack()
    agent.bye(invite)
    assert len(node.got("BYE")) == 1


def test_on_one_interface_the_two_sides_are_told_apart_too() -> None:
    world = edge()
    agent = world.peer("203.0.113.9", 41_000, "inside")
    call = agent.invite("sip:9196@10.0.0.1", "Contact: <sip:1000@192.168.1.20>")
    node = call.establish()
    routes = node.got("INVITE")[0].all("record-route")
    assert [("flow-" in route) for route in routes] == [False, True]
    call.bye()
    assert len(node.got("BYE")) == 1
    node.hangs_up()
    assert agent.got("BYE")[0].flow == agent.flow


# --- agents that come back


def in_a_call(world: World) -> tuple[Peer, Peer, Exchange]:
    """A browser, a node, and the call that the node began."""
    agent = browser(world, 1)
    registers(agent, BROWSERS_CONTACT)
    node = asked(world)
    call = calls(node)
    agent.replies(last_invite(agent), 200, "Contact: <sip:x7k2@ab12cd.invalid;transport=ws>", tag="a")
    call.ack()
    return agent, node, call


def test_a_bye_reaches_a_browser_that_connected_again_during_the_call() -> None:
    world = edge()
    agent, node, call = in_a_call(world)
    agent.closes()
    back = browser(world, 2)
    registers(back, BROWSERS_CONTACT, call_id="anew")
    call.bye()
    bye = back.got("BYE")[0]
    back.replies(bye, 200)
    assert node.statuses("BYE") == [200]


def test_a_bye_to_a_browser_that_is_gone_is_answered_at_once() -> None:
    world = edge()
    agent, node, call = in_a_call(world)
    agent.leaves()
    call.bye()
    assert node.statuses("BYE") == [430]


def test_a_browser_that_called_is_reached_after_it_came_back() -> None:
    world = edge()
    agent = browser(world, 1)
    registers(agent, BROWSERS_CONTACT)
    agent.invite("sip:9196@192.0.2.1", "Contact: <sip:x7k2@ab12cd.invalid;transport=ws>").establish()
    agent.closes()
    back = browser(world, 2)
    registers(back, BROWSERS_CONTACT, call_id="anew")
    world.called().hangs_up()
    assert len(back.got("BYE")) == 1


def test_a_phone_that_moved_to_another_port_is_reached_there() -> None:
    world = edge()
    agent = phone(world, 41_000)
    registers(agent)
    agent.invite("sip:9196@192.0.2.1", "Contact: <sip:1000@192.168.1.20>").establish()
    moved = phone(world, 52_000)
    registers(moved, call_id="anew")
    world.called().hangs_up()
    assert (len(agent.got("BYE")), len(moved.got("BYE"))) == (0, 1)


def test_a_call_to_a_browser_that_is_gone_fails_at_once() -> None:
    world = edge()
    agent = browser(world)
    registers(agent, BROWSERS_CONTACT)
    node = asked(world)
    agent.leaves()
    assert calls(node).statuses == [430]


def test_a_peer_over_tcp_whose_connection_is_gone_is_reached_by_its_contact() -> None:
    """One that registers nothing and can be called: a carrier that closes idle connections."""
    world = edge()
    carrier = world.peer("198.51.100.20", 40_000, "stream", 1)
    carrier.opens()
    contact = "Contact: <sip:trunk@198.51.100.20:5060;transport=tcp>"
    carrier.invite("sip:9196@192.0.2.1", contact).establish()
    carrier.closes()
    world.called().hangs_up()
    bye = next(wire for wire in world.sent if wire.is_request and wire.method == "BYE")
    assert bye.flow.peer == ("198.51.100.20", 5060)


# --- the edge is started anew


def anew() -> World:
    """Another life of an edge with the same secret, which waits for nobody to come back any more."""
    world = edge(SECRET, seed=99)
    world.advance(SECRET.flow_wait_s)
    return world


def test_after_a_restart_calls_still_reach_phones_on_udp() -> None:
    world = edge(SECRET)
    registers(phone(world))
    uri = stored(asked(world))
    later = anew()
    agent = phone(later)
    later.node(asked(world).name).invite(uri)
    assert last_invite(agent).uri == "sip:1000@192.168.1.20:5060"


def test_after_a_restart_a_call_that_stands_can_be_ended() -> None:
    world = edge(SECRET)
    agent = phone(world)
    registers(agent)
    agent.invite("sip:9196@192.0.2.1", "Contact: <sip:1000@192.168.1.20>")
    route = world.called().got("INVITE")[0].all("record-route")
    later = anew()
    agent = phone(later)
    later.node("FS1").sends(
        message(
            "BYE sip:1000@192.168.1.20 SIP/2.0",
            "Via: SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bKb",
            *[f"Route: {each}" for each in route],
            "From: <sip:9196@192.0.2.1>;tag=2",
            "To: <sip:1000@192.0.2.1>;tag=1",
            "Call-ID: c",
            "CSeq: 2 BYE",
        )
    )
    assert agent.got("BYE")[0].flow == agent.flow


@pytest.mark.parametrize("same_number", [True, False])
def test_after_a_restart_a_browsers_token_leads_to_no_other_connection(same_number: bool) -> None:
    """The numbers of connections begin anew: another browser may have the number by now."""
    world = edge(SECRET)
    registers(browser(world), BROWSERS_CONTACT)
    uri = stored(asked(world))
    later = anew()
    other = browser(later, 1 if same_number else 2)
    assert later.node(asked(world).name).invite(uri).statuses == [430]
    assert other.got("INVITE") == []


def test_without_a_secret_a_token_ends_with_the_edge() -> None:
    world, later = edge(seed=1), edge(seed=2)
    registers(phone(world))
    assert later.node(asked(world).name).invite(stored(asked(world))).statuses == [403]


def test_after_a_restart_a_question_still_lists_what_the_node_holds() -> None:
    world = edge(SECRET)
    registers(phone(world, 41_001), "<sip:1000@192.168.1.21>")
    before = stored(asked(world))
    later = anew()
    register = asks(phone(later, 41_002), "<sip:1000@192.168.1.22>")
    grants(later, 180, f"<{before}>;expires=120")
    assert told(register) == ["<sip:1000@192.168.1.22>;expires=180", "<sip:1000@192.168.1.21>;expires=120"]


def test_a_contact_too_long_to_be_carried_is_reached_while_it_is_bound() -> None:
    world = edge(SECRET)
    agent = phone(world)
    contact = f"sip:{'x' * 300}@192.168.1.20"
    registers(agent, f"<{contact}>")
    calls(asked(world))
    assert last_invite(agent).uri == contact
    later = anew()
    assert later.node(asked(world).name).invite(stored(asked(world))).statuses == [430]


def test_the_route_token_is_in_the_user_part() -> None:
    """FreeSWITCH un-escapes what stands in parameters."""
    world = edge()
    agent = phone(world)
    registers(agent)
    agent.invite("sip:9196@192.0.2.1", "Contact: <sip:1000@192.168.1.20>")
    uri = uri_of(world.called().got("INVITE")[0].all("record-route")[1])
    assert uri.partition("@")[0].startswith("sip:flow-")
    assert "%" not in uri
