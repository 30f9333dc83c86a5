"""The browser: one WebSocket, JsSIP's words and times, and what Chromium does to them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from engine.boundary import NEVER, AgentOrder
from sim.agents.browser.throttle import Throttle
from sim.agents.notes import (
    CallEnded,
    CallLost,
    CallMissed,
    CallSetUp,
    CallTaken,
    Disconnected,
    OrderRefused,
    Registered,
    RegistrationFailed,
    RegistrationLost,
    TabClosed,
    Unregistered,
)
from tests.sim.agents.websockets import Room

INVITE = """
INVITE sip:{user}@{host} SIP/2.0
Via: SIP/2.0/WS 127.0.0.1:5066;branch=z9hG4bK{call}
From: <sip:fs@lab.test>;tag=fs
To: <sip:1000@lab.test>
Call-ID: {call}
CSeq: 1 INVITE
Max-Forwards: 70
Contact: <sip:fs@127.0.0.1:5066;transport=ws>
"""


def contact(room: Room) -> re.Match[bytes]:
    value = room.server.requests(b"REGISTER")[-1][1].values("contact")[0]
    found = re.fullmatch(
        rb"<sip:([0-9a-v]{8})@([0-9a-v]{12}\.invalid);transport=ws>;\+sip\.ice;reg-id=1;"
        rb'\+sip\.instance="<urn:uuid:([0-9a-f-]{36})>";expires=(\d+)',
        value,
    )
    assert found, value
    return found


# --- registering --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("transport", "after_s"), [("ws", 0.025), ("wss", 0.035)])
def test_it_connects_first_then_registers_in_jssips_words(transport: str, after_s: float) -> None:
    room = Room(transport=transport)
    room.run(1.0)
    at_s, first = room.server.requests(b"REGISTER")[0]
    assert at_s == pytest.approx(after_s)
    assert first.names == [
        *("via", "max-forwards", "to", "from", "call-id", "cseq", "contact", "expires"),
        *("allow", "supported", "user-agent", "content-length"),
    ]
    host = contact(room)[2]
    assert first.get("via").startswith(b"SIP/2.0/%b %b;branch=z9hG4bK" % (transport.upper().encode(), host))
    assert first.get("supported") == b"path,gruu,outbound"
    assert (first.uri, contact(room)[4]) == (b"sip:lab.test", b"600")
    assert [note.expires_s for _, note in room.noted(Registered)] == [180.0]


def test_it_refreshes_between_the_half_and_32_s_before_the_end_with_a_new_challenge_each_time() -> None:
    room = Room()
    room.run(2000.0)
    rounds = room.registers()
    gaps = [later - earlier for earlier, later in pairwise(rounds)]
    assert len(gaps) > 12
    assert all(90.0 < gap < 148.1 for gap in gaps)
    assert max(gaps) - min(gaps) > 20.0
    assert len(room.server.requests(b"REGISTER")) == 2 * len(rounds)


def test_a_short_registration_is_refreshed_5_s_before_its_end() -> None:
    room = Room()
    room.server.grants_s = 60
    room.run(100.0)
    assert room.registers()[1] - room.registers()[0] == pytest.approx(55.0, abs=0.1)


def test_a_share_may_be_given_instead() -> None:
    room = Room(refresh_share=0.5)
    room.run(100.0)
    assert room.registers()[1] == pytest.approx(90.0, abs=0.1)


def test_an_expiry_that_is_too_brief_is_asked_for_longer_at_once() -> None:
    room = Room(phones={"expires_s": 30})
    room.server.refuses = (423, b"Min-Expires: 90")
    room.run(0.5)
    asked = [each.get("expires") for _, each in room.server.requests(b"REGISTER")]
    assert asked[:4] == [b"30", b"30", b"90", b"90"]
    assert len(room.noted(RegistrationFailed)) == 1  # 423 for 90 again makes no sense


def test_a_refused_refresh_logs_it_out_for_good_unless_its_page_tries_again() -> None:
    for retry_s, rounds in ((None, 0), (20.0, 9)):
        room = Room(retry_s=retry_s, refresh_share=0.5)
        room.run(80.0)
        room.server.refuses = (503, b"Retry-After: 5")
        room.run(120.0)
        assert [note.status for _, note in room.noted(RegistrationFailed)][:1] == [503]
        lost = [note.why for _, note in room.noted(RegistrationLost)]
        assert lost == (["503 Service Unavailable"] if retry_s is None else [])
        before = len(room.registers())
        room.run(300.0)
        assert len(room.registers()) - before == rounds
        if retry_s:  # what it believes ends with what it was granted
            assert len(room.noted(RegistrationLost)) == 1


def test_unregister_withdraws_its_own_contact() -> None:
    room = Room()
    room.run(1.0)
    room.order("unregister")
    room.run(500.0)
    assert contact(room)[4] == b"0"
    assert len(room.noted(Unregistered)) == 1
    assert len(room.registers()) == 2


# --- the connection -----------------------------------------------------------------------------------------


def test_a_lost_connection_is_opened_again_after_2_s_and_registered_with_the_same_contact() -> None:
    room = Room()
    room.run(10.0)
    before = contact(room)
    room.cut()
    room.run(11.0)
    assert [(at_s, note.why) for at_s, note in room.noted(RegistrationLost)] == [
        (10.0, "connection reset by peer")
    ]
    room.run(15.0)
    assert room.registers()[1] == pytest.approx(12.025)
    assert contact(room)[0] == before[0]
    assert len(room.noted(Registered)) == 2


def test_while_nobody_answers_it_waits_ever_longer_but_at_most_30_s() -> None:
    room = Room()
    room.run(10.0)
    room.kill_server()
    room.run(400.0)
    waits = [note.retry_s for _, note in room.noted(Disconnected)]
    assert waits[0] == 2.0
    assert all(2.0 <= wait <= min(2.0 ** (n + 1), 30.0) and wait == int(wait) for n, wait in enumerate(waits))
    assert waits.count(30.0) >= 2
    room.start_server()
    room.run(432.0)
    assert len(room.noted(Registered)) == 2
    room.cut()
    room.run(433.0)
    assert room.noted(Disconnected)[-1][1].retry_s == 2.0  # the count begins anew


def test_without_reconnection_it_stays_away() -> None:
    room = Room(reconnects=False)
    room.run(10.0)
    room.cut()
    room.run(300.0)
    assert (len(room.registers()), len(room.noted(RegistrationLost))) == (1, 1)
    assert room.noted(Disconnected)[-1][1].retry_s == NEVER


def test_crlf_pings_of_the_server_are_answered_and_its_own_are_sent_if_asked_for() -> None:
    room = Room(phones={"keep_alive_s": 30.0})
    room.run(1.0)
    room.world.deliver("server", AgentOrder("say", "\r\n\r\n"))
    room.run(100.0)
    crlf = [(at_s, each) for at_s, each in room.server.heard if isinstance(each, bytes)]
    assert crlf[0][1] == b"\r\n"
    pings = [at_s for at_s, each in crlf[1:] if each == b"\r\n\r\n"]
    assert len(pings) in (3, 4)
    assert all(24.0 <= later - earlier <= 30.1 for earlier, later in pairwise([0.0, *pings]))


# --- calls --------------------------------------------------------------------------------------------------


def test_it_asks_for_90_s_sessions_and_its_contact_says_ob() -> None:
    room = Room()
    room.run(1.0)
    room.order("call", "9196 for 5")
    room.run(1.1)
    ((_, invite),) = room.server.requests(b"INVITE")
    assert invite.get("session-expires") == b"90"
    assert invite.get("contact") == b"<sip:%b@%b;transport=ws;ob>" % contact(room).group(1, 2)
    assert invite.get("supported") == b"timer,ice,replaces,outbound"


def call_in(room: Room, user: str | None = None, call: str = "first") -> None:
    mine = contact(room)
    room.say(INVITE.format(user=user or mine[1].decode(), host=mine[2].decode(), call=call))


@pytest.mark.parametrize("user", [None, "1000"])
def test_it_takes_calls_to_its_contact_and_to_its_number(user: str | None) -> None:
    room = Room()
    room.run(1.0)
    call_in(room, user)
    room.run(3.0)
    assert [note.user for _, note in room.noted(CallTaken)] == ["1000"]
    assert room.server.statuses()[:2] == [180, 200]


def test_what_is_meant_for_another_user_is_not_found_in_dialogs_too() -> None:
    room = Room()
    room.run(1.0)
    call_in(room, "fs-1")
    room.run(2.0)
    assert room.server.statuses() == [404]
    call_in(room, call="second")
    room.run(4.0)
    tag = next(each.to.tag for each in room.server.responses() if each.status == 200)
    room.say(
        INVITE.format(user="edge", host="127.0.0.1", call="second")
        .replace("INVITE", "BYE")
        .replace("CSeq: 1", "CSeq: 2")
        .replace("z9hG4bK", "z9hG4bK-bye-")
        .replace("To: <sip:1000@lab.test>", f"To: <sip:1000@lab.test>;tag={tag.decode()}")
    )
    room.run(5.0)
    assert [each.status for each in room.server.responses() if each.cseq.method == b"BYE"] == [404]


def test_a_call_that_stands_outlives_its_connection_and_is_ended_over_the_next_one() -> None:
    room = Room()
    room.server.grants_s = 600
    room.run(1.0)
    call_in(room)
    room.run(3.0)
    room.cut()
    room.run(6.0)
    assert not room.noted(CallEnded)
    room.order("hangup")
    room.run(7.0)
    ((at_s, _),) = room.server.requests(b"BYE")
    assert at_s == pytest.approx(6.005)
    assert [note.why for _, note in room.noted(CallEnded)] == ["hung up"]


def test_calls_that_are_being_set_up_are_lost_with_the_connection() -> None:
    room = Room(phones={"answer_delay_s": 30.0})
    room.run(1.0)
    call_in(room)
    room.run(2.0)
    room.cut()
    room.run(2.1)
    room.order("call", "9196")
    room.run(2.5)
    assert len(room.noted(CallMissed)) == 1
    assert [note.why for _, note in room.noted(CallLost)] == ["unreachable"]
    assert not room.noted(CallSetUp)


# --- what people and computers do ---------------------------------------------------------------------------


def test_a_closed_tab_just_hangs_up_the_connection() -> None:
    room = Room()
    room.run(1.0)
    call_in(room)
    room.run(3.0)
    before = len(room.server.heard)
    room.order("close_tab")
    room.run(300.0)
    assert len(room.server.heard) == before
    assert room.server.open == []
    assert [note.why for _, note in room.noted(CallEnded)] == ["tab closed"]
    assert len(room.noted(TabClosed)) == 1
    assert room.browser.deadline() == NEVER


def test_an_opened_tab_is_a_new_page_with_a_contact_of_its_own() -> None:
    room = Room()
    room.run(1.0)
    before = contact(room)
    room.order("close_tab")
    room.run(2.0)
    room.order("open_tab")
    room.run(3.0)
    assert len(room.noted(Registered)) == 2
    assert contact(room)[1] != before[1]


def test_another_network_kills_the_connection_and_only_the_browser_knows() -> None:
    room = Room()
    room.run(10.0)
    room.network("change_network", "127.0.3.99")
    room.run(20.0)
    assert [note.why for _, note in room.noted(RegistrationLost)] == ["network changed"]
    assert [flow.peer[0] for flow in room.server.open] == ["127.0.3.1", "127.0.3.99"]
    assert len(room.noted(Registered)) == 2


def test_asleep_it_neither_speaks_nor_hears_and_goes_on_where_it_was() -> None:
    room = Room(refresh_share=0.5)
    room.run(10.0)
    room.network("sleep")
    room.run(400.0)
    assert len(room.registers()) == 1
    room.network("wake")
    room.run(410.0)
    assert room.registers()[1] == pytest.approx(400.0, abs=0.1)
    assert len(room.server.open) == 1


def test_a_connection_that_dies_silently_is_noticed_when_nobody_answers() -> None:
    room = Room(refresh_share=0.5)
    room.run(10.0)
    room.cut(silently=True)
    room.run(200.0)
    assert [(note.status, round(at_s)) for at_s, note in room.noted(RegistrationFailed)] == [(408, 122)]
    assert not room.noted(Disconnected)  # the kernel still hopes


def test_an_order_that_makes_no_sense_is_refused_in_words() -> None:
    room = Room()
    room.run(1.0)
    room.order("dance")
    assert "close_tab" in room.noted(OrderRefused)[0][1].why


# --- throttled timers ---------------------------------------------------------------------------------------


def test_a_hidden_tabs_timers_ring_on_whole_seconds() -> None:
    throttle = Throttle(False, 0.25)
    assert throttle.rings_at(7.1) == 7.1
    throttle.hide(5.0)
    assert [throttle.rings_at(due) for due in (4.9, 7.1, 7.25, 7.26, 900.1)] == [4.9, 7.25, 7.25, 8.25, 900.25]
    throttle.show()
    assert throttle.rings_at(900.1) == 900.1
    assert throttle.rings_at(NEVER) == NEVER


def test_after_five_minutes_chained_timers_ring_once_a_minute() -> None:
    throttle = Throttle(True, 10.0)
    throttle.hide(0.0)
    assert [throttle.rings_at(due) for due in (299.5, 300.5, 311.0)] == [300.0, 310.0, 370.0]


def test_an_intensively_throttled_tab_refreshes_late_but_hears_at_once() -> None:
    room = Room(throttling="intensive", refresh_share=0.5)
    room.run(1000.0)
    times = room.registers()[4:]
    assert len(times) >= 5
    phases = {round(at_s % 60.0, 1) for at_s in times}
    assert len(phases) == 1
    assert {round(later - earlier) for earlier, later in pairwise(times)} == {120}
    call_in(room, "1000")
    room.run(1001.6)
    assert room.server.statuses()[0] == 180  # a ringing tab is no hidden one
