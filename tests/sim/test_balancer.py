"""The balancer as a machine: choice, flows, idle time, health."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.balancer import BALANCERS, Balancer, BalancerSettings, Forwarded
from sim.nat import Dropped

LISTENER = ("203.0.113.200", 5060)
TARGETS = [(f"10.0.0.{number}", 5060) for number in range(1, 5)]


def balancer(protocol: Any = "udp", **settings: Any) -> Balancer:
    return Balancer(BalancerSettings(**settings), protocol, LISTENER, TARGETS)


def client(number: int, port: int = 5060) -> tuple[str, int]:
    return (f"198.51.{number // 250}.{number % 250 + 1}", port)


def target(machine: Balancer, source: tuple[str, int], now: float = 0.0, segment: Any = "syn") -> tuple[str, int]:
    verdict = machine.forward(source, now, segment)
    assert isinstance(verdict, Forwarded), verdict
    return verdict.destination


def fail(machine: Balancer, which: tuple[str, int]) -> None:
    for _ in range(machine.settings.unhealthy_after):
        machine.checked(which, False)


def test_round_robin_serves_in_turn() -> None:
    machine = balancer(choice="round_robin")
    assert [target(machine, client(number)) for number in range(8)] == TARGETS * 2


def test_sticky_by_source_means_by_address_whatever_the_port() -> None:
    machine = balancer(choice="source")
    assert len({target(machine, client(7, port)) for port in range(1024, 1124)}) == 1
    by_flow = balancer(choice="flow")
    assert len({target(by_flow, client(7, port)) for port in range(1024, 1124)}) == len(TARGETS)


def test_hashes_spread_evenly_and_move_only_the_clients_of_what_failed() -> None:
    machine = balancer(choice="source")
    before = {number: target(machine, client(number)) for number in range(400)}
    assert all(70 <= many <= 130 for many in Counter(before.values()).values())
    fail(machine, TARGETS[0])
    machine.reboot()
    after = {number: target(machine, client(number)) for number in range(400)}
    assert all(after[number] == before[number] for number in before if before[number] != TARGETS[0])
    assert TARGETS[0] not in after.values()


def test_answers_find_their_client_and_bear_the_listeners_address() -> None:
    machine = balancer()
    served = target(machine, client(1))
    assert machine.answer(served, client(1), 1.0) == Forwarded(LISTENER, client(1))
    assert machine.answer(served, client(2), 1.0) is None


def test_a_proxy_gives_each_flow_an_endpoint_of_its_own() -> None:
    machine = balancer(keeps_source=False)
    seen = [machine.forward(client(number), 0.0) for number in range(100)]
    assert len(set(seen)) == 100
    for number, each in enumerate(seen):
        assert isinstance(each, Forwarded)
        assert each.source[0] == LISTENER[0]
        assert machine.answer(each.destination, each.source, 1.0) == Forwarded(LISTENER, client(number))


@pytest.mark.parametrize(("on_idle", "refused"), [("close", True), ("reset", True), ("drop", False)])
def test_a_connection_idle_for_too_long_is_unknown(on_idle: str, refused: bool) -> None:
    machine = balancer("tcp", tcp_idle_s=60.0, on_idle=on_idle)
    target(machine, client(1))
    assert isinstance(machine.forward(client(1), 59.0), Forwarded)
    assert machine.forward(client(1), 119.0) == Dropped("unknown connection", refused)
    assert machine.forward(client(1), 119.0, "rst") == Dropped("unknown connection")
    assert machine.sessions(119.0) == 0


def test_answers_keep_a_flow_too() -> None:
    machine = balancer(udp_idle_s=60.0)
    served = target(machine, client(1))
    machine.answer(served, client(1), 50.0)
    assert machine.sessions(100.0) == 1


def test_health_takes_as_many_checks_as_are_set() -> None:
    machine = balancer(unhealthy_after=3, healthy_after=2)
    checks = [False, False, True, False, False, False, True, False, True, True]
    told = [machine.checked(TARGETS[0], well) for well in checks]
    assert told == [False] * 5 + [True] + [False] * 3 + [True]
    assert machine.healthy == tuple(TARGETS)


def test_without_a_healthy_target_it_refuses_or_fails_open() -> None:
    for fails_open in (False, True):
        machine = balancer("tcp", fails_open=fails_open)
        for each in TARGETS:
            fail(machine, each)
        assert isinstance(machine.forward(client(1), 0.0, "syn"), Forwarded) == fails_open


def test_a_udp_flow_leaves_an_unhealthy_target_and_a_connection_cannot() -> None:
    for protocol in ("udp", "tcp"):
        machine = balancer(protocol)
        served = target(machine, client(1))
        fail(machine, served)
        assert (target(machine, client(1), 1.0, "data") == served) == (protocol == "tcp")


def test_a_full_table_takes_no_more() -> None:
    machine = balancer(max_sessions=1)
    target(machine, client(1))
    assert isinstance(machine.forward(client(2), 0.0), Dropped)


def test_every_preset_says_where_it_comes_from() -> None:
    assert all(preset.source for preset in BALANCERS.values())
    assert {name: preset.settings.tcp_idle_s for name, preset in BALANCERS.items()} == {
        "plain": 300.0,
        "aws_nlb": 350.0,
        "aws_alb": 60.0,
        "nginx": 60.0,
        "huawei_elb": 300.0,
        "huawei_elb_http": 60.0,
        "alibaba_clb": 900.0,
    }


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"tcp_idle_s": 0.0}, "more than 0 s"),
        ({"check_interval_s": float("inf")}, "more than 0 s"),
        ({"healthy_after": 0}, "1 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_a_remedy(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        BalancerSettings(**settings)


@given(
    st.sampled_from([preset.settings for preset in BALANCERS.values()]),
    st.sampled_from(["udp", "tcp"]),
    st.lists(
        st.tuples(
            st.sampled_from(["forward", "answer", "check"]),
            st.integers(0, 5),
            st.sampled_from(TARGETS),
            st.sampled_from(["syn", "data", "fin", "rst"]),
            st.sampled_from([0.0, 10.0, 100.0, 1000.0]),
            st.booleans(),
        ),
        max_size=60,
    ),
)
def test_no_two_flows_look_alike_to_a_target_and_silence_ends_all(
    settings: BalancerSettings, protocol: Any, steps: list[Any]
) -> None:
    machine = Balancer(replace(settings, max_sessions=4), protocol, LISTENER, TARGETS)
    now = 0.0
    for what, number, served, segment, after_s, well in steps:
        now += after_s
        if what == "check":
            machine.checked(served, well)
        elif what == "answer":
            machine.answer(served, client(number), now, segment)
        else:
            verdict = machine.forward(client(number), now, segment)
            if isinstance(verdict, Forwarded):
                answered = machine.answer(verdict.destination, verdict.source, now)
                assert answered == Forwarded(LISTENER, client(number))
        assert machine.sessions(now) <= 4
    assert machine.sessions(now + 1000.0) == 0
