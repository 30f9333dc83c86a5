"""Vias, Routes, Record-Routes, and by which interface a request leaves (RFC 3261 §16.4, §16.6; RFC 3581, 5658)."""

from __future__ import annotations

import pytest

from engine.boundary import Interface
from engine.config import RegistrarConfig
from engine.notes import MessageDropped, RequestRefused
from engine.registrar.tokens import Tokens
from tests.engine.harness import INTERFACES, Peer, World
from tests.engine.wire import message, param, reply

SECRET = RegistrarConfig(secret="known to these tests")
MARK = Tokens(b"known to these tests", 0).mark(b"d1").decode()  # of the call d1

# --- Via


def test_rport_is_filled_in_and_responses_go_back_to_the_very_port() -> None:
    world = World()
    phone = world.peer("203.0.113.9", 41_000)
    call = phone.invite(via="SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bKx;rport")
    via = world.called().got("INVITE")[0].all("via")[1]
    assert (param(via, "rport"), param(via, "received")) == ("41000", "203.0.113.9")
    assert call.statuses == [100]


def test_without_rport_responses_go_to_the_port_of_the_via_at_the_true_address() -> None:
    world = World()
    listener = world.peer("203.0.113.9", 5070)
    phone = world.peer("203.0.113.9", 41_000)
    phone.invite(via="SIP/2.0/UDP phone.example.com:5070;branch=z9hG4bKx")
    via = world.called().got("INVITE")[0].all("via")[1]
    assert (param(via, "rport"), param(via, "received")) == ("", "203.0.113.9")
    assert listener.statuses() == [100]
    assert phone.statuses() == []


def test_a_via_that_tells_the_truth_stays_as_it_is() -> None:
    world = World()
    world.caller.invite(via="SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKx")
    assert world.called().got("INVITE")[0].all("via")[1] == "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKx"


def test_our_via_comes_off_again() -> None:
    world = World()
    call = world.caller.invite()
    world.called().answer(180)
    assert len(call.responses[-1].all("via")) == 1


# --- Record-Route


def test_two_sides_two_record_routes_with_the_from_tag() -> None:
    """RFC 5658: the upper one faces the callee, the lower one the caller."""
    world = World(registrar=SECRET)
    world.caller.invite(from_="<sip:1000@192.0.2.1>;tag=abc", call_id="d1")
    assert world.called().got("INVITE")[0].all("record-route") == [
        f"<sip:10.0.0.1:5060;lr;r2=on;ftag=abc;did={MARK}>",
        f"<sip:192.0.2.1:5060;lr;r2=on;ftag=abc;did={MARK}>",
    ]


def test_one_side_one_record_route() -> None:
    one = (Interface(name="inside", transport="udp", host="192.0.2.1", port=5060),)
    world = World(interfaces=one, registrar=SECRET)
    world.peer("198.51.100.7", interface="inside").invite(from_="<sip:1000@192.0.2.1>;tag=abc", call_id="d1")
    route = f"<sip:192.0.2.1:5060;lr;ftag=abc;did={MARK}>"
    assert world.called().got("INVITE")[0].all("record-route") == [route]


def test_what_is_advertised_is_what_is_written() -> None:
    outside = Interface(
        name="outside",
        transport="udp",
        host="172.16.0.5",
        port=5060,
        advertised_host="192.0.2.1",
        advertised_port=5080,
    )
    world = World(interfaces=(outside, INTERFACES[1]))
    call = world.caller.invite()
    node = world.called()
    assert node.got("INVITE")[0].all("record-route")[1].startswith("<sip:192.0.2.1:5080;lr;r2=on;ftag=f1;did=")
    node.answer(200)
    call.ack()
    assert len(node.got("ACK")) == 1  # the advertised address is recognised as ours


# --- within a dialog: each side by the interface on which it stands


def test_requests_of_the_caller_leave_by_the_nodes_interface() -> None:
    world = World()
    call = world.caller.invite()
    node = call.establish()
    call.bye()
    for wire in (node.got("ACK")[0], node.got("BYE")[0]):
        assert wire.flow.interface == "inside"
        assert wire.all("via")[0].startswith("SIP/2.0/UDP 10.0.0.1:5060")
        assert "route" not in wire
        assert "record-route" not in wire


def test_a_bye_of_the_node_leaves_by_the_callers_interface() -> None:
    world = World()
    call = world.caller.invite()
    node = call.establish()
    node.hangs_up()
    bye = world.caller.got("BYE")[0]
    assert bye.flow.interface == "outside"
    assert bye.uri == "sip:1000@198.51.100.7:5060"
    assert "route" not in bye
    world.caller.replies(bye, 200)
    assert node.statuses("BYE") == [200]


def test_it_is_the_route_that_names_the_interface_not_the_contact() -> None:
    """A node whose Contact shows its public address is still reached by the inner interface."""
    world = World()
    call = world.caller.invite()
    node = world.called()
    node.answer(200, "Contact: <sip:9196@203.0.113.50:5060>")
    call.bye()
    assert world.sent[-1].flow.interface == "inside"
    assert world.sent[-1].flow.peer == ("203.0.113.50", 5060)


def in_dialog(peer: Peer, uri: str, method: str, to: str, routes: list[str], call_id: str = "d1") -> bytes:
    return message(
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {peer.host_port};branch=z9hG4bKd{peer.world.number()}",
        *[f"Route: {route}" for route in routes],
        "From: <sip:a@example.com>;tag=1",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: 2 {method}",
        "Max-Forwards: 70",
    )


OURS = [f"<sip:{host}:5060;lr;r2=on;ftag=1;did={MARK}>" for host in ("192.0.2.1", "10.0.0.1")]
MADE_UP = [route.replace(f";did={MARK}", "") for route in OURS]
TO = "<sip:b@example.com>;tag=2"


def test_a_loose_router_behind_us_is_sent_the_request_with_its_route() -> None:
    world = World(registrar=SECRET)
    data = in_dialog(world.caller, "sip:b@10.0.0.77", "BYE", TO, [*OURS, "<sip:10.0.0.99;lr>"])
    world.caller.sends(data)
    sent = world.sent[-1]
    assert sent.flow.peer == ("10.0.0.99", 5060)
    assert sent.uri == "sip:b@10.0.0.77"
    assert sent.all("route") == ["<sip:10.0.0.99;lr>"]


def test_a_strict_router_behind_us_finds_its_address_in_the_request_uri() -> None:
    """§16.6 step 6: and the target at the end of the Route."""
    world = World(registrar=SECRET)
    routes = [*OURS, "<sip:10.0.0.99>", "<sip:10.0.0.98;lr>"]
    world.caller.sends(in_dialog(world.caller, "sip:b@10.0.0.77", "BYE", TO, routes))
    sent = world.sent[-1]
    assert sent.flow.peer == ("10.0.0.99", 5060)
    assert sent.uri == "sip:10.0.0.99"
    assert sent.all("route") == ["<sip:10.0.0.98;lr>", "<sip:b@10.0.0.77>"]


def test_what_a_strict_router_before_us_did_is_undone() -> None:
    """§16.4: it put our Record-Route value into the Request-URI, and the target at the end of the Route."""
    world = World(registrar=SECRET)
    uri = OURS[0][1:-1]
    world.caller.sends(in_dialog(world.caller, uri, "BYE", TO, [OURS[1], "<sip:b@10.0.0.77>"]))
    sent = world.sent[-1]
    assert sent.flow.peer == ("10.0.0.77", 5060)
    assert sent.flow.interface == "inside"
    assert sent.uri == "sip:b@10.0.0.77"
    assert "route" not in sent


def test_a_dialog_request_for_the_edge_itself_belongs_to_no_dialog() -> None:
    world = World()
    world.caller.sends(in_dialog(world.caller, "sip:b@192.0.2.1", "BYE", TO, []))
    assert world.caller.statuses() == [481]


@pytest.mark.parametrize("routes", [[], ["<sip:203.0.113.2;lr>"]], ids=["no Route", "a foreign one"])
def test_a_dialog_request_for_elsewhere_that_does_not_name_us_is_not_forwarded(routes: list[str]) -> None:
    """Else anyone could send through us to anyone by making a tag up."""
    world = World()
    world.caller.sends(in_dialog(world.caller, "sip:b@203.0.113.1", "BYE", TO, routes))
    assert world.caller.statuses() == [404]


STRANGERS_ROUTES = {
    "without a mark": MADE_UP,
    "with a mark of another call": [
        r.replace(MARK, Tokens(b"known to these tests", 0).mark(b"d2").decode()) for r in OURS
    ],
    "with a mark of another secret": [r.replace(MARK, Tokens(b"another", 0).mark(b"d1").decode()) for r in OURS],
    "with half a mark": [r.replace(MARK, MARK[:8]) for r in OURS],
    "with a token of no secret": ["<sip:flow-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@192.0.2.1:5060;lr>", *MADE_UP],
    "and another proxy behind": [*MADE_UP, "<sip:203.0.113.2;lr>"],
}


@pytest.mark.parametrize("routes", STRANGERS_ROUTES.values(), ids=STRANGERS_ROUTES)
def test_a_route_of_ours_that_was_made_for_no_such_call_leads_nowhere_but_to_nodes(routes: list[str]) -> None:
    """Else anyone could send through us to anyone, for our address is no secret."""
    world = World(registrar=SECRET)
    for method in ("INVITE", "BYE", "MESSAGE", "ACK"):
        world.caller.sends(in_dialog(world.caller, "sip:b@203.0.113.1", method, TO, routes))
    assert world.caller.statuses() == [403, 403, 403]
    assert {wire.flow for wire in world.sent} == {world.caller.flow}
    assert [note.status for note in world.told(RequestRefused)] == [403, 403, 403]
    assert world.told(MessageDropped)[-1].why == "ACK that belongs to nothing"


def test_neither_does_the_way_of_a_strict_router() -> None:
    world = World(registrar=SECRET)
    uri = MADE_UP[0][1:-1]
    world.caller.sends(in_dialog(world.caller, uri, "BYE", TO, ["<sip:b@203.0.113.1>"]))
    assert world.caller.statuses() == [403]


def test_nor_a_target_that_looks_like_a_node_and_means_elsewhere() -> None:
    """``maddr`` is where a request goes, whatever the host says (RFC 3261 §19.1.1)."""
    world = World(registrar=SECRET)
    for routes in ([], MADE_UP):
        uri = "sip:b@10.0.0.11:5060;maddr=203.0.113.1"
        world.caller.sends(in_dialog(world.caller, uri, "BYE", TO, routes))
    assert world.caller.statuses() == [404, 403]
    assert {wire.flow for wire in world.sent} == {world.caller.flow}


def test_in_a_dialog_that_stands_a_route_needs_no_mark() -> None:
    """Devices that drop parameters which they don't know; and calls that an edge without marks has begun."""
    world = World()
    call = world.caller.invite()
    node = world.called()
    node.answer(200, "Contact: <sip:9196@203.0.113.50:5060>")
    to = call.final["to"]
    world.caller.sends(in_dialog(world.caller, "sip:9196@203.0.113.50:5060", "INFO", to, MADE_UP, call.call_id))
    assert world.sent[-1].flow.peer == ("203.0.113.50", 5060)


def test_after_a_restart_the_mark_is_enough() -> None:
    """The next life of the edge knows no dialogs, but the secret."""
    before, after = World(registrar=SECRET), World(registrar=SECRET, seed=2)
    call = before.caller.invite()
    before.called().answer(200, "Contact: <sip:9196@203.0.113.50:5060>")
    after.caller.within("ACK", call.final)
    after.caller.bye(call.final)
    assert [(wire.method, wire.flow.peer[0]) for wire in after.sent] == [
        ("ACK", "203.0.113.50"),
        ("BYE", "203.0.113.50"),
    ]


def test_the_callees_requests_bear_the_mark_too() -> None:
    """A provider that a policy or a node has called is no node, and its calls outlive the edge as well."""
    before, after = World(registrar=SECRET), World(registrar=SECRET, seed=2)
    node, provider = before.node("FS1"), before.peer("203.0.113.80")
    routes = "Route: <sip:10.0.0.1;lr>, <sip:192.0.2.1;lr>"
    node.invite("sip:+4930@203.0.113.80:5060", routes, "Contact: <sip:fs@203.0.113.50:5060>")
    after.peer("203.0.113.80").bye(provider.got("INVITE")[0])
    assert (after.sent[-1].method, after.sent[-1].flow.peer) == ("BYE", ("203.0.113.50", 5060))


def test_a_dialog_request_for_a_node_may_come_without_route() -> None:
    """Phones that lose the route set in a restart still hang up."""
    world = World()
    world.caller.sends(in_dialog(world.caller, "sip:b@10.0.0.11:5060", "BYE", TO, []))
    assert len(world.node("FS1").got("BYE")) == 1


def test_a_dialog_request_whose_target_is_the_edge_itself_is_not_sent_in_a_circle() -> None:
    world = World()
    world.caller.sends(in_dialog(world.caller, "sip:192.0.2.1:5060", "BYE", TO, OURS))
    assert world.caller.statuses() == [481]


def test_a_route_to_elsewhere_is_no_way_through_us() -> None:
    world = World()
    call = world.caller.invite("sip:b@203.0.113.1", "Route: <sip:192.0.2.1;lr>, <sip:203.0.113.1;lr>")
    assert call.statuses == [403]


def test_a_preloaded_route_to_the_edge_alone_is_taken_off() -> None:
    world = World()
    world.caller.invite("sip:9196@192.0.2.1", "Route: <sip:192.0.2.1;lr>")
    assert "route" not in world.called().got("INVITE")[0]


def test_a_malformed_route_is_refused() -> None:
    world = World()
    world.caller.sends(in_dialog(world.caller, "sip:b@10.0.0.77", "BYE", TO, ["<sip:192.0.2.1"]))
    assert world.caller.statuses() == [400]


def test_a_transport_that_we_do_not_speak() -> None:
    world = World(registrar=SECRET)
    world.caller.sends(in_dialog(world.caller, "sip:b@10.0.0.77;transport=sctp", "INFO", TO, OURS))
    assert world.caller.statuses() == [503]


# --- from a node


@pytest.mark.parametrize("route", ["<sip:10.0.0.1:5060;lr>", "<sip:10.0.0.1:5060>"], ids=["loose", "fs_path"])
def test_a_node_reaches_a_user_through_its_path(route: str) -> None:
    """FreeSWITCH writes the Path as Route; with fs_path it leaves the lr out."""
    world = World()
    node = world.node("FS1")
    routes = [route, "<sip:192.0.2.1:5060;lr;r2=on>"]
    call = node.invite("sip:1000@198.51.100.7:5060", *[f"Route: {each}" for each in routes])
    invite = world.caller.got("INVITE")[0]
    assert invite.flow.interface == "outside"
    assert invite.uri == "sip:1000@198.51.100.7:5060"
    assert invite.all("record-route")[0].startswith("<sip:192.0.2.1:5060;lr")
    world.caller.replies(invite, 200, tag="u")
    assert call.statuses == [100, 200]


@pytest.mark.parametrize("lines", [(), ("Route: <sip:10.0.0.1;lr>",)], ids=["plain", "with Route"])
def test_a_node_that_asks_for_a_user_by_our_address_alone(lines: tuple[str, ...]) -> None:
    world = World()
    assert world.node("FS1").invite("sip:1000@192.0.2.1", *lines).statuses == [404]


# --- ACK


def test_the_ack_of_a_2xx_is_passed_on_without_a_transaction() -> None:
    world = World()
    call = world.caller.invite()
    node = world.called()
    node.answer(200)
    before = world.edge.open_transactions()
    call.ack()
    call.ack()
    assert world.edge.open_transactions() == before
    assert len(node.got("ACK")) == 2


def test_an_ack_that_belongs_to_nothing_is_dropped() -> None:
    world = World()
    world.caller.sends(in_dialog(world.caller, "sip:b@203.0.113.1", "ACK", TO, []))
    assert world.sent == []


# --- what is not ours stays as it came


def test_unknown_headers_pass_byte_for_byte() -> None:
    world = World()
    odd = "x-Odd :  a;b, \tc  "
    world.caller.invite("sip:9196@192.0.2.1", odd)
    assert odd.encode() in world.called().got("INVITE")[0].data


def test_bodies_pass_byte_for_byte() -> None:
    world = World()
    call = world.caller.invite("sip:9196@192.0.2.1", body="v=0\r\no=- 1 1 IN IP4 192.168.1.2\r\n")
    node = world.called()
    assert node.got("INVITE")[0].body == call.body.encode()
    ringing = reply(node.got("INVITE")[0], 183, tag="t").replace(b"Content-Length: 0\r\n\r\n", b"")
    node.sends(ringing + b"Content-Length: 4\r\n\r\n\x00\xff\r\n")
    assert call.responses[-1].body == b"\x00\xff\r\n"
