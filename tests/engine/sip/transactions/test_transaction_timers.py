"""Timers A to M at their times (RFC 3261 table 4, RFC 6026), on datagrams and on streams.

All are exact but those that only absorb repetitions (D, I to M): these end at the next quarter of a second.
"""

from __future__ import annotations

import pytest

from engine.boundary import Flow
from engine.config import TimersConfig
from tests.engine.sip.transactions.bench import TCP, UDP, Bench, request, response

DOUBLING = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]  # T1 and on, without a cap
CAPPED = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]  # doubling up to T2


def ends_at(bench: Bench, limit_s: float = 200.0) -> float:
    """When the last transaction is gone."""
    while len(bench.layer) and bench.now < limit_s:
        bench.advance(max(0.0, bench.timers.deadline() - bench.now))
    assert not len(bench.layer), "a transaction outlives its timers"
    return bench.now


def test_a_repeats_the_invite_and_b_gives_up() -> None:
    bench = Bench()
    bench.client("INVITE")
    assert ends_at(bench) == 32
    assert bench.times("INVITE") == DOUBLING
    assert bench.failures == ["time-out"]


def test_on_a_stream_only_b_runs() -> None:
    bench = Bench()
    bench.client("INVITE", TCP)
    assert ends_at(bench) == 32
    assert bench.times("INVITE") == [0]
    assert bench.failures == ["time-out"]


def test_a_provisional_response_stops_a_and_b() -> None:
    bench = Bench()
    transaction = bench.client("INVITE")
    bench.advance(1)
    bench.receive(response(180))
    bench.advance(1000)
    assert bench.times("INVITE") == [0, 0.5]
    assert transaction.state == "proceeding"  # timer C is the proxy's


def test_a_cancelled_invite_is_forgotten_64_t1_later() -> None:
    """§9.1: a UAS of RFC 2543 may answer the CANCEL and never the INVITE."""
    bench = Bench()
    transaction = bench.client("INVITE")
    bench.receive(response(180))
    bench.advance(10)
    transaction.cancelled(bench.now)
    assert ends_at(bench) == 42
    assert bench.failures == ["time-out"]


@pytest.mark.parametrize(("flow", "wait_s"), [(UDP, 32), (TCP, 0)])
def test_d_waits_for_repeated_failures_and_acknowledges_each(flow: Flow, wait_s: float) -> None:
    bench = Bench()
    bench.client("INVITE", flow)
    bench.advance(1)
    bench.receive(response(486))
    assert bench.times("ACK") == [1]
    if flow is UDP:
        bench.advance(2)
        bench.receive(response(486))
        assert bench.times("ACK") == [1, 3]
    assert ends_at(bench) == 1 + wait_s
    assert bench.answers == [486]


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_m_lets_every_2xx_pass(flow: Flow) -> None:
    bench = Bench()
    bench.client("INVITE", flow)
    bench.advance(1)
    bench.receive(response(200))
    bench.advance(31)
    bench.receive(response(200))
    assert ends_at(bench) == 33
    assert bench.answers == [200, 200]
    assert bench.times("ACK") == []


def test_e_repeats_up_to_t2_and_f_gives_up() -> None:
    bench = Bench()
    bench.client("OPTIONS")
    assert ends_at(bench) == 32
    assert bench.times("OPTIONS") == CAPPED
    assert bench.failures == ["time-out"]


def test_e_slows_to_t2_once_a_provisional_response_came() -> None:
    bench = Bench()
    bench.client("OPTIONS")
    bench.advance(0.1)
    bench.receive(response(100, "OPTIONS"))
    assert ends_at(bench) == 32
    assert bench.times("OPTIONS") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]


@pytest.mark.parametrize(("flow", "wait_s"), [(UDP, 5), (TCP, 0)])
def test_k_absorbs_repeated_responses(flow: Flow, wait_s: float) -> None:
    bench = Bench()
    bench.client("OPTIONS", flow)
    bench.advance(1)
    bench.receive(response(200, "OPTIONS"))
    bench.receive(response(200, "OPTIONS"))
    assert ends_at(bench) == 1 + wait_s
    assert bench.answers == [200]
    assert bench.strays == []


def test_g_repeats_a_failure_and_h_gives_up_waiting_for_the_ack() -> None:
    bench = Bench()
    bench.answer(bench.server("INVITE"), 486)
    assert ends_at(bench) == 32
    assert bench.times("SIP/2.0 486") == CAPPED


def test_on_a_stream_only_h_runs() -> None:
    bench = Bench()
    bench.answer(bench.server("INVITE", TCP), 486)
    assert ends_at(bench) == 32
    assert bench.times("SIP/2.0 486") == [0]


@pytest.mark.parametrize(("flow", "wait_s"), [(UDP, 5), (TCP, 0)])
def test_i_absorbs_repeated_acks(flow: Flow, wait_s: float) -> None:
    bench = Bench()
    bench.answer(bench.server("INVITE", flow), 486)
    bench.advance(0.75)
    bench.receive(request("ACK"), flow)
    bench.receive(request("ACK"), flow)
    assert ends_at(bench) == 0.75 + wait_s
    assert bench.times("SIP/2.0 486") == [0, 0.5] if flow is UDP else [0]
    assert bench.acks == []


@pytest.mark.parametrize(("flow", "wait_s"), [(UDP, 32), (TCP, 0)])
def test_j_absorbs_repeated_requests(flow: Flow, wait_s: float) -> None:
    bench = Bench()
    bench.answer(bench.server("OPTIONS", flow), 200)
    if flow is UDP:
        bench.advance(3)
        bench.receive(request("OPTIONS"))
        assert bench.times("SIP/2.0 200") == [0, 3]
    assert ends_at(bench) == wait_s
    assert len(bench.requests) == 1


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_l_absorbs_repeated_invites_after_a_2xx(flow: Flow) -> None:
    """RFC 6026 §7.1: the 2xx is repeated by its user agent, not by the transaction."""
    bench = Bench()
    bench.answer(bench.server("INVITE", flow), 200)
    bench.advance(2)
    bench.receive(request("INVITE"), flow)
    assert bench.times("SIP/2.0 200") == [0]
    assert ends_at(bench) == 32
    assert len(bench.requests) == 1


def test_what_only_absorbs_ends_together_within_a_quarter_of_a_second() -> None:
    bench = Bench()
    for number, method in enumerate(("OPTIONS", "INFO", "MESSAGE")):
        bench.client(method, branch=f"z9hG4bKc{number}")
        bench.advance(0.05)
        bench.receive(response(200, method, branch=f"z9hG4bKc{number}"))
    bench.advance(5.249 - bench.now)
    assert len(bench.layer) == 3
    assert bench.timers.deadline() == 5.25
    assert ends_at(bench) == 5.25


def test_an_unanswered_invite_waits_as_long_as_its_user_wants() -> None:
    bench = Bench()
    transaction = bench.server("INVITE")
    bench.advance(10_000)
    assert transaction.state == "proceeding"


def test_t1_scales_whatever_is_not_set_itself() -> None:
    bench = Bench(TimersConfig(t1_s=0.1, t2_s=0.4))
    bench.client("OPTIONS")
    assert ends_at(bench) == pytest.approx(6.4)
    assert bench.times("OPTIONS")[:5] == pytest.approx([0, 0.1, 0.3, 0.7, 1.1])


@pytest.mark.parametrize(
    ("letter", "method", "status"),
    [
        ("b", "INVITE", 0),
        ("d", "INVITE", 486),
        ("f", "OPTIONS", 0),
        ("k", "OPTIONS", 200),
        ("m", "INVITE", 200),
    ],
)
def test_each_client_timer_can_be_set(letter: str, method: str, status: int) -> None:
    bench = Bench(TimersConfig(**{f"{letter}_s": 7.25}))
    bench.client(method)
    if status:
        bench.receive(response(status, method))
    assert ends_at(bench) == 7.25


@pytest.mark.parametrize(
    ("letter", "method", "status"),
    [("h", "INVITE", 486), ("i", "INVITE", 486), ("j", "OPTIONS", 200), ("l", "INVITE", 200)],
)
def test_each_server_timer_can_be_set(letter: str, method: str, status: int) -> None:
    bench = Bench(TimersConfig(**{f"{letter}_s": 7.25}))
    bench.answer(bench.server(method), status)
    if letter == "i":
        bench.receive(request("ACK"))
    assert ends_at(bench) == 7.25


def test_a_late_host_gets_one_repetition_not_all_that_it_missed() -> None:
    bench = Bench()
    bench.client("INVITE")
    bench.now = 20.0
    bench.timers.fire_due(bench.now)
    bench.collect()
    assert bench.times("INVITE") == [0, 20]


def test_what_is_to_end_is_not_repeated_first() -> None:
    bench = Bench()
    bench.client("INVITE")
    bench.now = 40.0
    bench.timers.fire_due(bench.now)
    bench.collect()
    assert bench.times("INVITE") == [0]
    assert bench.failures == ["time-out"]
