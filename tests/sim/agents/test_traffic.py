"""The call generator: what it notes is the callers' own truth; the same calls come whatever becomes of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.boundary import NEVER, AgentOrder, Datagram, Drain, Flow
from sim.agents.durations import Duration
from sim.agents.notes import CallEnded, CallLost, CallPlaced, CallSetUp, OrderRefused
from tests.sim.agents.cast import NODE, freeswitch, load, traffic
from tests.sim.agents.wires import Bench

CALLER = ("127.0.2.1", 5060)


def test_every_call_is_placed_answered_and_hung_up() -> None:
    bench = Bench(delay_s=0.001)
    freeswitch(bench, reply_delay_s=0.01)
    traffic(bench, load(calls=10, hold_s=2.0))
    bench.run(60)
    assert [note.call_id for note in bench.noted(CallPlaced)] == [f"c{n:06d}@callers" for n in range(1, 11)]
    set_up = bench.noted(CallSetUp)
    assert len(set_up) == 10
    assert {note.first_status for note in set_up} == {200}
    assert all(note.setup_s == pytest.approx(0.012) == note.answer_s for note in set_up)
    ended = bench.noted(CallEnded)
    assert {note.why for note in ended} == {"hung up"}
    assert all(note.duration_s == pytest.approx(2.012) for note in ended)  # until the far end knows it too


def test_a_range_of_numbers_is_called_in_turn() -> None:
    bench = Bench(delay_s=0.001)
    freeswitch(bench)
    traffic(bench, replace(load(calls=5), to=("9196", "9664")))
    bench.run(30)
    assert [note.to for note in bench.noted(CallPlaced)] == ["9196", "9664", "9196", "9664", "9196"]


def test_set_up_delay_ends_with_the_first_ringing() -> None:
    bench = Bench(delay_s=0.0)
    freeswitch(bench, reply_delay_s=0.0, ring_delay_s=0.3, answer_delay_s=2.0)
    traffic(bench, load(calls=1))
    bench.run(60)
    (note,) = bench.noted(CallSetUp)
    assert note.first_status == 180
    assert [note.setup_s, note.answer_s] == pytest.approx([0.3, 2.3])


def test_early_media_counts_as_set_up() -> None:
    bench = Bench(delay_s=0.0)
    freeswitch(bench, reply_delay_s=0.0)
    traffic(bench, load("9198", calls=1))
    bench.run(60)
    (note,) = bench.noted(CallSetUp)
    assert note.first_status == 183
    assert [note.setup_s, note.answer_s] == pytest.approx([0.0, 1.5])


def test_a_refused_call_bears_status_and_reason() -> None:
    bench = Bench()
    node = freeswitch(bench)
    bench.give(node, AgentOrder("full"))
    traffic(bench, load(calls=3))
    bench.run(60)
    assert {(note.status, note.reason, note.why) for note in bench.noted(CallLost)} == {
        (503, "Maximum Calls In Progress", "refused")
    }


def test_impatient_callers_cancel() -> None:
    bench = Bench()
    node = freeswitch(bench, answer_delay_s=10.0)
    machine = traffic(bench, load(calls=3, patience=Duration(mean=1.0)))
    bench.run(60)
    lost = bench.noted(CallLost)
    assert {(note.status, note.why) for note in lost} == {(487, "gave up")}
    assert all(1.0 < note.elapsed_s < 1.1 for note in lost)
    assert (node.sessions, machine.phones.calls) == (0, 0)


def test_a_cancel_waits_for_the_first_response() -> None:
    bench = Bench()
    bench.lose = lambda data: data.startswith(b"SIP/2.0 100") or (data.startswith(b"INVITE") and bench.now < 2.0)
    node = freeswitch(bench, answer_delay_s=30.0)
    machine = traffic(bench, load(calls=1, patience=Duration(mean=0.2)))
    bench.run(1.0)
    assert not any(data.startswith(b"CANCEL") for *_, data in bench.sent)
    bench.run(60)
    assert [note.why for note in bench.noted(CallLost)] == ["gave up"]
    assert (node.sessions, machine.phones.calls) == (0, 0)


def test_silence_is_told_from_refusal_and_retransmissions_are_counted() -> None:
    bench = Bench()
    traffic(bench, load(calls=1, patience=Duration(mean=100.0)))
    bench.run(60)
    (note,) = bench.noted(CallLost)
    assert (note.status, note.why) == (408, "timeout")
    assert note.elapsed_s == pytest.approx(32.0)
    assert note.retransmissions == sum(data.startswith(b"INVITE") for *_, data in bench.strays) - 1 == 6


def test_icmp_ends_a_call_at_once() -> None:
    bench = Bench(icmp=True)
    traffic(bench, load(calls=1))
    bench.run(60)
    assert [(note.status, note.why) for note in bench.noted(CallLost)] == [(503, "unreachable")]


def test_a_lost_invite_is_sent_again_and_counted() -> None:
    bench = Bench()
    lost = iter([True, True])
    bench.lose = lambda data: data.startswith(b"INVITE") and next(lost, False)
    freeswitch(bench)
    traffic(bench, load(calls=1))
    bench.run(60)
    (note,) = bench.noted(CallSetUp)
    assert note.retransmissions == 2
    assert note.answer_s > 1.5


def test_a_challenge_is_answered() -> None:
    bench = Bench()
    freeswitch(bench, auth=True)
    traffic(bench, load(calls=5))
    bench.run(60)
    assert len(bench.noted(CallSetUp)) == 5


def test_a_wrong_password_is_a_refused_call() -> None:
    bench = Bench()
    freeswitch(bench, auth=True)
    traffic(bench, load(calls=1), password="guess")
    bench.run(60)
    assert [note.status for note in bench.noted(CallLost)] == [403]


def test_the_far_end_may_hang_up_first() -> None:
    bench = Bench()
    freeswitch(bench)
    traffic(bench, load("9100", calls=1, hold_s=20.0))
    bench.run(60)
    (note,) = bench.noted(CallEnded)
    assert (note.why, note.reason) == ("far end hung up", 'Q.850;cause=16;text="NORMAL_CLEARING"')
    assert note.duration_s == pytest.approx(2.0, abs=0.01)


def test_a_node_that_forgot_the_call_says_481() -> None:
    bench = Bench()
    node = freeswitch(bench)
    traffic(bench, load(calls=1, hold_s=5.0))
    bench.run(2.0)
    bench.remove(node)
    freeswitch(bench)
    bench.run(60)
    assert [note.why for note in bench.noted(CallEnded)] == ["481"]


def test_calls_come_alike_whatever_becomes_of_them() -> None:
    """Common random numbers: a policy that loses calls changes neither arrivals nor hold times."""

    def run(status: str) -> list[tuple[float, str, str]]:
        bench = Bench()
        node = freeswitch(bench)
        bench.give(node, AgentOrder(status))
        traffic(bench, load(calls=50, patience=Duration(distribution="exponential", mean=9)))
        bench.run(100)
        return [(at, note.call_id, note.user) for at, note in bench.notes if isinstance(note, CallPlaced)]

    assert run("full") == run("not_full")


def test_drain_and_stop_end_new_calls_only() -> None:
    for order in (Drain(), AgentOrder("stop")):
        bench = Bench()
        freeswitch(bench)
        machine = traffic(bench, load(calls=1000, hold_s=5.0))
        bench.run(3.0)
        placed = len(bench.noted(CallPlaced))
        bench.give(machine, order)
        bench.run(60)
        assert len(bench.noted(CallPlaced)) == placed == len(bench.noted(CallEnded)) > 5


def test_no_call_begins_after_the_end_of_its_load() -> None:
    bench = Bench()
    freeswitch(bench)
    traffic(bench, load(calls=10_000, rate_per_s=20, begins_s=2.0, ends_s=5.0))
    bench.run(60)
    times = [at for at, note in bench.notes if isinstance(note, CallPlaced)]
    assert 2.0 <= min(times) <= max(times) < 5.0
    assert 30 < len(times) < 100


def test_an_unknown_order_is_refused_in_words() -> None:
    bench = Bench()
    bench.give(traffic(bench, load()), AgentOrder("dance"))
    assert bench.noted(OrderRefused)[0].why == "known orders: stop"


def test_nothing_is_left_after_the_calls() -> None:
    bench = Bench()
    lost = iter(range(1_000_000))
    bench.lose = lambda data: next(lost) % 20 == 0
    node = freeswitch(bench, auth=True)
    machine = traffic(bench, load(calls=200, rate_per_s=50, patience=Duration(mean=3.0)))
    bench.run(300)
    offered, answered, failed = (len(bench.noted(kind)) for kind in (CallPlaced, CallSetUp, CallLost))
    assert offered == 200 == answered + failed
    assert len(bench.noted(CallEnded)) == answered
    assert (node.sessions, node.transactions) == (0, 0)
    assert (machine.phones.calls, machine.phones.transactions) == (0, 0)
    assert machine.deadline() == NEVER


def test_two_runs_are_alike_to_the_byte() -> None:
    def run() -> list[bytes]:
        bench = Bench()
        freeswitch(bench, auth=True)
        traffic(bench, load(calls=30, rate_per_s=30))
        bench.run(60)
        return [data for *_, data in bench.sent]

    assert run() == run()


MUTATED = st.builds(
    lambda data, at, junk, length: data[:at] + junk + data[at + length :],
    st.sampled_from(
        [
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
            b"To: <sip:b@c>;tag=2\r\nCall-ID: c000001@callers\r\nCSeq: 1 INVITE\r\nContact: <sip:x>\r\n\r\n",
            b"INVITE sip:1000@127.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bK2\r\n"
            b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:x>\r\n\r\n",
            b"BYE sip:1000@127.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bK3\r\n"
            b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=1\r\nCall-ID: c000001@callers\r\nCSeq: 1 BYE\r\n\r\n",
        ]
    ),
    st.integers(0, 250),
    st.binary(max_size=8),
    st.integers(0, 12),
)


@given(st.lists(MUTATED | st.binary(max_size=100), max_size=10))
@settings(max_examples=150, deadline=None)
def test_junk_never_raises(messages: list[bytes]) -> None:
    bench = Bench()
    machine = traffic(bench, load(calls=2))
    bench.run(0.5)
    for data in messages:
        bench.give(machine, Datagram(Flow("lan", (NODE.host, NODE.port)), data))
    bench.run(400)
    assert Counter(type(note) for _, note in bench.notes)[CallPlaced] == 2
    assert machine.phones.transactions == 0
