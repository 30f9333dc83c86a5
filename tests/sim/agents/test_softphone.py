"""The softphone: registers, calls, is called, and takes orders."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from engine.boundary import NEVER, AgentOrder, Drain, Interface
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig
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
    RegistrationLost,
    Unregistered,
)
from sim.agents.softphone import Softphone
from sim.faults import PathFault
from sim.links import Link
from sim.world import World
from tests.sim.agents.cast import freeswitch, phone_config, softphone
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


# --- keep-alives and flows ----------------------------------------------------------------------------------


def test_a_phone_may_keep_its_nat_binding_open_by_itself() -> None:
    bench = Bench()
    freeswitch(bench)
    softphone(bench, "1000", "127.0.3.1", keep_alive_s=20.0)
    bench.run(100.0)
    pings = [at_s for at_s, *_, data in bench.sent if data == b"\r\n\r\n"]
    assert len(pings) in (5, 6)
    assert all(16.0 <= later - earlier <= 20.0 for earlier, later in pairwise([0.0, *pings]))


def test_a_phone_with_another_address_registers_it_at_once() -> None:
    bench = Bench()
    node = freeswitch(bench)
    phone = softphone(bench, "1000", "127.0.3.1")
    bench.run(2.0)
    bench.add_address(phone, "127.0.3.9")
    bench.give(phone, AgentOrder("move", "127.0.3.9"))
    bench.run(3.0)
    binding = node.registrations.find("1000")
    assert binding is not None
    assert binding.contact == b"sip:1000@127.0.3.9:5060"


def outbound_phone(**settings: Any) -> tuple[World, FreeSwitch]:
    """Over TCP, 5 ms from a node that takes it."""
    world = World(5, record="all")
    at = {name: Interface(name="sip", transport="tcp", host=host, port=5060) for name, host in HOSTS.items()}
    node = FreeSwitch(
        FreeSwitchConfig(name="node", interfaces=(at["node"],), domain="lab.test", startup_s=0.0), Random(1)
    )
    config = phone_config("1000", HOSTS["phone"], interface=at["phone"], outbound=True, **settings)
    world.add("node", lambda _: node, [at["node"]])
    world.add("phone", lambda _: Softphone(config, Random(2)), [at["phone"]])
    world.link("node", "phone", Link(latency_ms=5))
    return world, node


HOSTS = {"node": "127.0.1.1", "phone": "127.0.3.1"}


def told(world: World, kind: type) -> list[float]:
    return [each.time_s for each in world.trace.notes if isinstance(each.note, kind)]


def test_an_outbound_phone_tells_its_instance_and_replaces_a_flow_that_is_cut() -> None:
    world, _ = outbound_phone(retry_s=7.0)
    world.run(10.0)
    first = next(each.data for each in world.trace.messages if each.data.startswith(b"REGISTER"))
    assert b'>;+sip.instance="<urn:uuid:' in first
    assert b'>";reg-id=1\r\n' in first
    assert b"\r\nSupported: path, gruu, outbound\r\n" in first
    world.apply(PathFault(at_s=0.0, kind="cut", places=("phone",), others=("node",)))
    world.run(30.0)
    assert told(world, RegistrationLost) == [10.0]
    assert told(world, Registered)[1:] == [pytest.approx(17.0, abs=0.05)]


def test_an_outbound_phone_notices_a_dead_flow_by_the_missing_pong() -> None:
    world, _ = outbound_phone(retry_s=7.0, keep_alive_s=20.0)
    world.run(35.0)
    assert not told(world, RegistrationLost)
    world.apply(PathFault(at_s=0.0, kind="cut", places=("phone",), others=("node",), silent=True))
    world.run(100.0)
    (lost_s,) = told(world, RegistrationLost)
    assert 35.0 < lost_s <= 35.0 + 20.0 + 10.1
    assert told(world, Registered)[1] == pytest.approx(lost_s + 7.0, abs=0.05)
