"""The softphone: registers, calls, is called, and takes orders."""

from __future__ import annotations

import pytest

from engine.boundary import NEVER, AgentOrder, Drain
from sim.agents.notes import (
    CallEnded,
    CallLost,
    CallMissed,
    CallPlaced,
    CallSetUp,
    CallTaken,
    OrderRefused,
    Registered,
    RegistrationFailed,
    Unregistered,
)
from tests.sim.agents.cast import freeswitch, softphone
from tests.sim.agents.wires import Bench


def registers(bench: Bench) -> int:
    return sum(data.startswith(b"REGISTER") for *_, data in bench.sent)


def test_it_registers_and_refreshes_at_a_share_of_what_was_granted() -> None:
    bench = Bench()
    node = freeswitch(bench)
    softphone(bench, "1000", "127.0.3.1", expires_s=3600, refresh_share=0.5)
    bench.run(1.0)
    assert [note.expires_s for note in bench.noted(Registered)] == [180.0]
    assert len(node.registrations) == 1
    assert registers(bench) == 2  # the first one was challenged
    bench.run(89.0)
    assert registers(bench) == 2
    bench.run(91.0)
    assert registers(bench) == 3  # the nonce serves on: no new challenge
    bench.run(1000.0)
    assert len(node.registrations) == 1
    assert not bench.noted(RegistrationFailed)


def test_a_refused_or_lost_registration_is_tried_again() -> None:
    bench = Bench()
    softphone(bench, "1000", "127.0.3.1", retry_s=30.0)
    bench.run(40.0)
    assert [note.status for note in bench.noted(RegistrationFailed)] == [408]
    node = freeswitch(bench)
    bench.give(node, AgentOrder("full"))
    bench.run(70.0)
    assert [note.status for note in bench.noted(RegistrationFailed)] == [408, 503]
    bench.give(node, AgentOrder("not_full"))
    bench.run(110.0)
    assert len(bench.noted(Registered)) == 1


def test_a_wrong_password_is_told() -> None:
    bench = Bench()
    freeswitch(bench)
    softphone(bench, "1000", "127.0.3.1", password="guess")
    bench.run(5.0)
    assert [(note.user, note.status) for note in bench.noted(RegistrationFailed)] == [("1000", 403)]


def test_one_phone_calls_another_through_the_node() -> None:
    bench = Bench()
    node = freeswitch(bench)
    caller = softphone(bench, "1000", "127.0.3.1")
    called = softphone(bench, "1001", "127.0.3.2", ring_delay_s=0.2, answer_delay_s=1.5)
    bench.run(2.0)
    bench.give(caller, AgentOrder("call", "1001 for 5"))
    bench.run(30.0)
    (set_up,) = bench.noted(CallSetUp)
    assert (set_up.user, set_up.to, set_up.first_status) == ("1000", "1001", 183)
    assert set_up.setup_s == pytest.approx(0.2, abs=0.02)
    assert set_up.answer_s == pytest.approx(1.7, abs=0.02)
    assert [(note.user, note.caller) for note in bench.noted(CallTaken)] == [("1001", "sip:1000@127.0.1.1")]
    assert {(note.user, note.why) for note in bench.noted(CallEnded)} == {
        ("1000", "hung up"),
        ("1001", "far end hung up"),
    }
    assert (node.sessions, caller.phones.calls, called.phones.calls) == (0, 0, 0)


def test_hangup_ends_the_call_of_either_side() -> None:
    for hanging_up in ("1000", "1001"):
        bench = Bench()
        freeswitch(bench)
        phones = {
            user: softphone(bench, user, f"127.0.3.{user[-1]}", answer_delay_s=0.1) for user in ("1000", "1001")
        }
        bench.run(2.0)
        bench.give(phones["1000"], AgentOrder("call", "1001"))
        bench.run(4.0)
        bench.give(phones[hanging_up], AgentOrder("hangup"))
        bench.run(5.0)
        assert {note.user: note.why for note in bench.noted(CallEnded)} == {
            user: "hung up" if user == hanging_up else "far end hung up" for user in phones
        }


def test_hangup_while_it_rings_cancels_or_declines() -> None:
    for hanging_up, status, why in (("1000", 487, "gave up"), ("1001", 603, "refused")):
        bench = Bench()
        node = freeswitch(bench, linger_s=1.0)
        phones = {
            user: softphone(bench, user, f"127.0.3.{user[-1]}", answer_delay_s=20.0) for user in ("1000", "1001")
        }
        bench.run(2.0)
        bench.give(phones["1000"], AgentOrder("call", "1001"))
        bench.run(4.0)
        bench.give(phones[hanging_up], AgentOrder("hangup"))
        bench.run(10.0)
        assert [(note.status, note.why) for note in bench.noted(CallLost)] == [(status, why)]
        assert [note.user for note in bench.noted(CallMissed)] == ["1001"]
        assert node.sessions == 0


def test_the_node_may_call_a_phone() -> None:
    bench = Bench()
    node = freeswitch(bench)
    phone = softphone(bench, "1000", "127.0.3.1")
    bench.run(2.0)
    bench.give(node, AgentOrder("originate", "user/1000 &echo"))
    bench.run(5.0)
    assert [note.user for note in bench.noted(CallTaken)] == ["1000"]
    bench.give(phone, AgentOrder("hangup"))
    bench.run(6.0)
    assert node.sessions == 0


def test_an_answer_without_an_ack_is_ended() -> None:
    bench = Bench()
    freeswitch(bench)
    softphone(bench, "1001", "127.0.3.2")
    caller = softphone(bench, "1000", "127.0.3.1")
    bench.run(2.0)
    bench.lose = lambda data: data.startswith(b"ACK sip:1001@127.0.3.2")
    bench.give(caller, AgentOrder("call", "1001 for 100"))
    bench.run(60.0)
    assert ("1001", "no ACK") in {(note.user, note.why) for note in bench.noted(CallEnded)}


def test_drain_hangs_up_and_unregisters() -> None:
    bench = Bench()
    node = freeswitch(bench)
    phone = softphone(bench, "1000", "127.0.3.1")
    bench.run(2.0)
    bench.give(phone, AgentOrder("call", "9196 for 100"))
    bench.run(3.0)
    bench.give(phone, Drain())
    bench.run(200.0)
    assert len(bench.noted(CallEnded)) == len(bench.noted(Unregistered)) == 1
    assert (len(node.registrations), phone.phones.calls, phone.phones.transactions) == (0, 0, 0)
    assert phone.deadline() == NEVER


@pytest.mark.parametrize("order", [("dance", ""), ("call", ""), ("call", "9196 for ever")])
def test_an_order_that_makes_no_sense_is_refused_in_words(order: tuple[str, str]) -> None:
    bench = Bench()
    phone = softphone(bench, "1000", "127.0.3.1", registers=False)
    bench.give(phone, AgentOrder(*order))
    assert len(bench.noted(OrderRefused)) == 1
    assert not bench.noted(CallPlaced)
