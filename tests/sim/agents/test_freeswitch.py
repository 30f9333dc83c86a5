"""What the recordings don't show in one case: limits, phases, shared registrations, faults, leaks."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.boundary import AgentOrder, Datagram, Flow, Interface, StreamData, StreamOpened, Unreachable
from engine.sip.framing import parse_datagram
from engine.sip.message import Response
from sim.agents.durations import Duration
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig, Registrations
from sim.agents.freeswitch.causes import cause_of
from sim.agents.freeswitch.registrar import http_date
from sim.agents.notes import (
    BindingRemoved,
    BindingStored,
    CallEnded,
    CallLost,
    CallSetUp,
    OrderRefused,
)
from tests.sim.agents.cast import NODE, freeswitch, load, softphone, traffic
from tests.sim.agents.wires import Bench, udp

EDGE = ("127.0.0.2", 5060)
SDP = b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def request(method: str, number: str = "9196", *, branch: str = "1", call: str = "a", **headers: str) -> bytes:
    body = SDP if method == "INVITE" else b""
    lines = [
        f"{method} sip:{number}@lab.test SIP/2.0",
        f"Via: SIP/2.0/UDP {EDGE[0]}:{EDGE[1]};branch=z9hG4bK{branch}",
        "From: <sip:1000@lab.test>;tag=1",
        f"To: <sip:{number}@lab.test>",
        f"Call-ID: {call}",
        f"CSeq: 1 {method}",
        "Contact: <sip:1000@127.0.0.2>",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answers(bench: Bench) -> list[str]:
    found = []
    for *_, destination, data in bench.sent:
        message = parse_datagram(data)
        if destination == EDGE and isinstance(message, Response):
            found.append(f"{message.status} {message.reason.decode()}")
    return found


def ask(bench: Bench, data: bytes) -> list[str]:
    before = len(answers(bench))
    bench.send(EDGE, (NODE.host, NODE.port), data)
    bench.run(bench.now + 0.1)
    return answers(bench)[before:]


def test_it_is_silent_then_refusing_then_ready() -> None:
    bench = Bench()
    freeswitch(bench, startup_s=1.6)
    assert ask(bench, request("OPTIONS", branch="a")) == []
    bench.run(1.0)
    assert ask(bench, request("OPTIONS", branch="b")) == []
    bench.run(1.11)
    assert answers(bench) == ["503 Maximum Calls In Progress"] * 2  # they waited in its socket
    assert ask(bench, request("INVITE", branch="c")) == ["503 Maximum Calls In Progress"]
    bench.run(1.7)
    assert ask(bench, request("OPTIONS", branch="d")) == ["200 OK"]


@pytest.mark.parametrize(
    ("version", "options"), [("1.10.12", "503 Maximum Calls In Progress"), ("1.11.2", "200 OK")]
)
def test_a_full_node_refuses_calls_and_registrations_but_maybe_not_options(version: str, options: str) -> None:
    bench = Bench()
    freeswitch(bench, version=version, max_sessions=1)
    assert ask(bench, request("INVITE", branch="a", call="a"))[-1] == "200 OK"
    assert ask(bench, request("INVITE", branch="b", call="b")) == ["503 Maximum Calls In Progress"]
    assert ask(bench, request("REGISTER", branch="c", call="c")) == ["503 Maximum Calls In Progress"]
    assert ask(bench, request("OPTIONS", branch="d", call="d")) == [options]


def test_a_refused_call_holds_its_session_for_ten_seconds() -> None:
    bench = Bench()
    node = freeswitch(bench, max_sessions=1)
    assert ask(bench, request("INVITE", "1005", branch="a", call="a"))[-1] == "480 Temporarily Unavailable"
    assert node.sessions == 1
    assert ask(bench, request("INVITE", branch="b", call="b")) == ["503 Maximum Calls In Progress"]
    bench.run(11.0)
    assert node.sessions == 0


def test_an_abandoned_challenge_holds_one_too() -> None:
    bench = Bench()
    node = freeswitch(bench, auth=True)
    assert ask(bench, request("INVITE")) == ["407 Proxy Authentication Required"]
    assert node.sessions == 1
    bench.run(11.0)
    assert node.sessions == 0


def test_a_trusted_address_is_not_challenged() -> None:
    bench = Bench()
    freeswitch(bench, auth=True, trusted=(EDGE[0],))
    assert ask(bench, request("INVITE")) == ["100 Trying", "200 OK"]


def test_a_second_branch_of_one_invite_is_refused() -> None:
    bench = Bench()
    freeswitch(bench)
    ask(bench, request("INVITE", branch="a"))
    assert ask(bench, request("INVITE", branch="b"))[0] == "482 Request Merged"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("SUBSCRIBE", "405 Method Not Allowed"),
        ("MESSAGE", "202 Accepted"),
        ("BYE", "481 Call Does Not Exist"),
        ("REFER", "481 Call Does Not Exist"),
        ("DANCE", "501 Not Implemented"),
        ("CANCEL", "481 Call/Transaction Does Not Exist"),
    ],
)
def test_requests_out_of_place(method: str, answer: str) -> None:
    bench = Bench()
    freeswitch(bench)
    assert ask(bench, request(method)) == [answer]


def test_an_unknown_number_is_not_found() -> None:
    bench = Bench()
    freeswitch(bench)
    assert ask(bench, request("INVITE", "5555"))[-1] == "404 Not Found"


def test_a_call_that_went_round_in_circles_is_ended() -> None:
    bench = Bench()
    freeswitch(bench)
    softphone(bench, "1001", "127.0.3.1")
    bench.run(2.0)
    assert ask(bench, request("INVITE", "1001", Max_Forwards="0"))[-1] == "483 Too Many Hops"


def test_cancel_is_answered_even_before_the_invite_has_its_turn() -> None:
    bench = Bench()
    node = freeswitch(bench, reply_delay_s=0.5)
    bench.send(EDGE, (NODE.host, NODE.port), request("INVITE"))
    assert ask(bench, request("CANCEL")) == ["200 OK", "487 Request Terminated"]
    bench.run(60.0)
    assert (node.sessions, node.transactions) == (0, 0)


def test_a_binding_is_forgotten_about_270_seconds_after_its_last_register() -> None:
    bench = Bench()
    node = freeswitch(bench)
    phone = softphone(bench, "1000", "127.0.3.1")
    bench.run(2.0)
    assert [note.contact for note in bench.noted(BindingStored)] == ["sip:1000@127.0.3.1:5060"]
    bench.remove(phone)
    bench.run(239.0)
    assert len(node.registrations) == 1
    bench.run(275.0)
    assert [(note.user, note.why) for note in bench.noted(BindingRemoved)] == [("1000", "expired")]


def test_nodes_with_one_database_know_each_others_users() -> None:
    bench = Bench()
    shared = Registrations()
    freeswitch(bench, registrations=shared)
    freeswitch(bench, registrations=shared, interface=udp("inside", "127.0.1.2"), name="fs2")
    softphone(bench, "1001", "127.0.3.1", answer_delay_s=0.1)
    traffic(bench, load("1001", calls=1), server=("127.0.1.2", 5060))
    bench.run(60.0)
    assert len(bench.noted(CallSetUp)) == 1


def test_registrations_may_survive_a_restart_and_nonces_do_not() -> None:
    bench = Bench()
    node = freeswitch(bench)
    softphone(bench, "1000", "127.0.3.1", refresh_share=0.1)
    bench.run(5.0)
    bench.remove(node)
    again = freeswitch(bench, registrations=node.registrations)
    assert len(again.registrations) == 1
    bench.run(30.0)
    assert any(b"stale=true" in data for *_, data in bench.sent)
    assert len(again.registrations) == 1


def test_a_called_phone_that_is_silent_ends_in_504() -> None:
    bench = Bench()
    node = freeswitch(bench, bridge_timeout_s=60.0)
    phone = softphone(bench, "1001", "127.0.3.1")
    bench.run(2.0)
    bench.remove(phone)
    traffic(bench, load("1001", calls=1, patience=Duration(mean=100.0)))
    bench.run(30.0)
    assert not bench.noted(CallLost)
    bench.run(100.0)
    assert [(note.status, note.why) for note in bench.noted(CallLost)] == [(504, "refused")]
    assert (node.sessions, node.transactions) == (0, 0)


def test_a_phone_that_only_rings_ends_in_480() -> None:
    bench = Bench()
    node = freeswitch(bench, bridge_timeout_s=5.0)
    softphone(bench, "1001", "127.0.3.1", answer_delay_s=100.0)
    traffic(bench, load("1001", calls=1))
    bench.run(60.0)
    assert [note.status for note in bench.noted(CallLost)] == [480]
    assert node.sessions == 0


def test_shutdown_ends_all_calls_refuses_for_a_while_and_falls_silent() -> None:
    bench = Bench()
    node = freeswitch(bench)
    traffic(bench, load(calls=5, rate_per_s=50, hold_s=60))
    bench.run(2.0)
    bench.give(node, AgentOrder("shutdown"))
    bench.run(2.1)
    assert {note.reason for note in bench.noted(CallEnded)} == {'SIP;cause=701;text="SYSTEM_SHUTDOWN"'}
    assert ask(bench, request("OPTIONS", branch="a")) == ["503 Maximum Calls In Progress"]
    bench.run(3.0)
    assert ask(bench, request("OPTIONS", branch="b")) == []


def test_hupall_ends_all_calls_and_nothing_else() -> None:
    bench = Bench()
    node = freeswitch(bench)
    traffic(bench, load(calls=5, rate_per_s=50, hold_s=60))
    bench.run(2.0)
    bench.give(node, AgentOrder("hupall"))
    bench.run(2.1)
    assert {note.reason for note in bench.noted(CallEnded)} == {'Q.850;cause=16;text="NORMAL_CLEARING"'}
    assert ask(bench, request("OPTIONS", branch="a")) == ["200 OK"]


@pytest.mark.parametrize("order", [("dance", ""), ("originate", "user/1000"), ("originate", "user/1000 &echo")])
def test_an_order_that_cannot_be_carried_out_is_refused_in_words(order: tuple[str, str]) -> None:
    bench = Bench()
    bench.give(freeswitch(bench), AgentOrder(*order))
    assert len(bench.noted(OrderRefused)) == 1


def test_bridged_calls_leave_nothing_behind_on_a_lossy_network() -> None:
    bench = Bench()
    count = iter(range(10_000_000))
    bench.lose = lambda data: next(count) % 10 == 0 and not data.startswith(b"REGISTER")
    node = freeswitch(bench, linger_s=1.0)
    phone = softphone(bench, "1001", "127.0.3.1", answer_delay_s=0.2)
    bench.run(2.0)
    machine = traffic(bench, load("1001", calls=100, rate_per_s=20, hold_s=1.0))
    bench.run(120.0)
    assert (node.sessions, machine.phones.calls, phone.phones.calls) == (0, 0, 0)
    assert (node.transactions, machine.phones.transactions, phone.phones.transactions) == (0, 0, 0)


def test_it_speaks_over_streams_too() -> None:
    interface = Interface(name="inside", transport="tcp", host="127.0.1.1", port=5060)
    config = FreeSwitchConfig(name="fs1", interfaces=(interface,), domain="lab.test", auth=False, startup_s=0.0)
    node = FreeSwitch(replace(config, reply_delay_s=0.0), Random(1))
    node.start(0.0)
    flow = Flow("inside", EDGE, 1)
    node.receive(StreamOpened(flow), 0.0)
    data = request("INVITE").replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
    sent = [*node.receive(StreamData(flow, data[:100]), 0.0), *node.receive(StreamData(flow, data[100:]), 0.0)]
    assert [getattr(effect, "flow", None) for effect in sent] == [flow, flow]


def test_causes_of_failures() -> None:
    assert cause_of(486).reason == b'Q.850;cause=17;text="USER_BUSY"'
    assert cause_of(302).status == 480


def test_dates_are_in_english_whatever_the_locale() -> None:
    assert http_date(1_795_456_261.5) == b"Mon, 23 Nov 2026 17:51:01 GMT"


MUTATED = st.builds(
    lambda data, at, junk, length: data[:at] + junk + data[at + length :],
    st.sampled_from(
        [
            request("INVITE"),
            request("INVITE", "1001", call="b", branch="2"),
            request("REGISTER", Expires="60"),
            request("CANCEL"),
            request("BYE").replace(b"To: <sip:9196@lab.test>", b"To: <sip:9196@lab.test>;tag=x"),
            request("OPTIONS", Proxy_Authorization='Digest username="a"'),
        ]
    ),
    st.integers(0, 600),
    st.binary(max_size=8),
    st.integers(0, 12),
)


@given(st.lists(MUTATED | st.binary(max_size=100), max_size=10), st.booleans())
@settings(max_examples=200, deadline=None)
def test_junk_never_raises(messages: list[bytes], auth: bool) -> None:
    bench = Bench()
    node = freeswitch(bench, auth=auth, startup_s=0.0)
    flow = Flow("inside", EDGE)
    for data in messages:
        bench.give(node, Datagram(flow, data))
        bench.run(bench.now + 0.01)
    bench.give(node, Unreachable(flow, "gone"))
    bench.run(400.0)
    assert (node.sessions, node.transactions) == (0, 0)
