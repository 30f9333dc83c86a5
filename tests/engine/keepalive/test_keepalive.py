"""Keep-alives to registered UDP agents: when, to whom, what, and what silence means."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.boundary import NEVER, Effect, Flow, Interface, Send
from engine.config import KeepAliveConfig
from engine.here import Here
from engine.keepalive import KEEP_ALIVE_BRANCH, KeepAlive
from engine.sip.framing import parse_datagram
from engine.sip.message import Request
from engine.sip.validate import validate_request
from engine.timers import TimerQueue
from engine.wheel import GRID_S, Wheel
from tests.engine.wire import Wire

INTERFACES = (
    Interface(name="outside", transport="udp", host="192.0.2.1", port=5060),
    Interface(name="six", transport="udp", host="2001:db8::1", port=5060),
)


@dataclass(eq=False)
class Agent:
    """A binding, and whether its agent answers."""

    number: int = 1
    natted: bool = True
    answers: bool = True
    interface: str = "outside"
    stream: int = 0
    contact: bytes = b"sip:1000@192.168.1.7:5060;transport=udp"
    got: list[Wire] = field(default_factory=list)

    @property
    def flow(self) -> Flow:
        return Flow(self.interface, ("198.51.100.7", 40_000 + self.number), self.stream)

    @property
    def times(self) -> list[float]:
        return [wire.at for wire in self.got]


class Bench:
    """Keep-alives alone, without an edge around them."""

    def __init__(self, **settings: Any) -> None:
        self.timers = TimerQueue()
        self.out: list[Effect] = []
        self.lost: list[Agent] = []
        self.now = 0.0
        self.agents: dict[Flow, Agent] = {}
        self.keep_alive: KeepAlive[Agent] = KeepAlive(
            KeepAliveConfig(**settings),
            Here(INTERFACES, ()),
            Wheel(self.timers),
            self.out,
            random.Random(1),
            lambda binding, why, now: self.lost.append(binding),
        )

    def bound(self, *agents: Agent) -> None:
        for agent in agents:
            self.agents[agent.flow] = agent
            self.keep_alive.bound(agent, self.now)

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while (deadline := self.timers.deadline()) <= until:
            self.now = deadline
            self.timers.fire_due(deadline)
            sent, self.out[:] = list(self.out), []
            for effect in sent:
                assert isinstance(effect, Send)
                agent = self.agents[effect.flow]
                agent.got.append(Wire(effect.data, effect.flow, self.now))
                if agent.answers and agent.got[-1].start:
                    self.keep_alive.answered(agent.got[-1].branch.encode())
        self.now = until


def test_each_interval_an_options_goes_to_the_contact_on_its_flow() -> None:
    bench, agent = Bench(interval_s=25.0, jitter=0.1), Agent()
    bench.bound(agent)
    bench.advance(250.0)
    assert len(agent.got) in range(9, 12)
    request = agent.got[0]
    assert (request.method, request.uri) == ("OPTIONS", "sip:1000@192.168.1.7:5060;transport=udp")
    assert request["to"] == "<sip:1000@192.168.1.7:5060;transport=udp>"
    assert request["via"].startswith("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKk")
    gaps = [after - before for before, after in itertools.pairwise(agent.times)]
    assert all(25.0 * 0.95 <= gap <= 25.0 * 1.05 + 2 * GRID_S for gap in gaps)
    assert len(set(gaps)) > 1
    assert bench.lost == []


@pytest.mark.parametrize("interface", ["outside", "six"])
def test_the_request_is_one_that_an_agent_must_understand(interface: str) -> None:
    bench, agent = Bench(), Agent(interface=interface)
    bench.bound(agent)
    bench.advance(60.0)
    for wire in agent.got:
        request = parse_datagram(wire.data)
        assert isinstance(request, Request)
        validate_request(request)
        assert request.via.branch.startswith(KEEP_ALIVE_BRANCH)
        assert request.body == b""
    assert len({wire["call-id"] for wire in agent.got}) == len(agent.got) > 1


def test_several_in_a_row_unanswered_and_the_registrar_is_told_once() -> None:
    bench, agent = Bench(interval_s=25.0, missed=3), Agent(answers=False)
    bench.bound(agent)
    bench.advance(500.0)
    assert bench.lost == [agent]
    assert len(agent.got) == 3
    assert len(bench.keep_alive) == 0
    assert bench.timers.deadline() == NEVER


def test_one_answer_between_begins_the_count_anew() -> None:
    bench, agent = Bench(interval_s=10.0, jitter=0.0, missed=3), Agent()
    bench.bound(agent)
    for turn in range(40):
        agent.answers = turn % 3 == 0
        bench.advance(10.0)
    assert bench.lost == []


def test_a_refresh_is_a_sign_of_life_too_and_moves_nothing() -> None:
    bench, agent = Bench(interval_s=10.0, jitter=0.0, missed=3), Agent(answers=False)
    bench.bound(agent)
    for _ in range(20):
        bench.advance(20.0)
        bench.bound(agent)
    assert bench.lost == []
    gaps = {after - before for before, after in itertools.pairwise(agent.times)}
    assert max(gaps) <= 10.0 + 2 * GRID_S


@pytest.mark.parametrize("tail", [b"", b"f" * 24, b"0" * 24, b"z" * 24, b"0" * 8 + b"_" * 16])
def test_an_answer_that_was_guessed_is_none(tail: bytes) -> None:
    bench, agent = Bench(interval_s=10.0, missed=2), Agent(answers=False)
    bench.bound(agent)
    for _ in range(6):
        bench.advance(5.0)
        bench.keep_alive.answered(KEEP_ALIVE_BRANCH + tail)
    assert bench.lost == [agent]


def test_an_answer_to_one_that_is_gone_counts_for_no_other() -> None:
    bench, gone, other = Bench(interval_s=10.0, missed=2), Agent(1, answers=False), Agent(2, answers=False)
    bench.bound(gone)
    bench.advance(10.0 + GRID_S)
    branch = gone.got[0].branch.encode()
    bench.keep_alive.unbound(gone, bench.now)
    bench.bound(other)  # takes over the other's number
    for _ in range(8):
        bench.advance(5.0)
        bench.keep_alive.answered(branch)
    assert bench.lost == [other]


def test_four_octets_keep_a_nat_open_and_ask_for_nothing() -> None:
    bench, agent = Bench(method="crlf", interval_s=25.0, missed=1), Agent(answers=False)
    bench.bound(agent)
    bench.advance(250.0)
    assert {wire.data for wire in agent.got} == {b"\r\n\r\n"}
    assert len(agent.got) in range(9, 12)
    assert bench.lost == []


@pytest.mark.parametrize(
    ("settings", "agent", "kept"),
    [
        ({}, Agent(natted=True), True),
        ({}, Agent(natted=False), False),
        ({"natted_only": False}, Agent(natted=False), True),
        ({}, Agent(stream=7), False),
        ({"method": "none"}, Agent(), False),
    ],
    ids=["natted", "not natted", "all", "a connection", "none"],
)
def test_who_is_kept_alive(settings: dict[str, Any], agent: Agent, kept: bool) -> None:
    bench = Bench(**settings)
    bench.bound(agent)
    bench.advance(60.0)
    assert bool(agent.got) is kept
    assert len(bench.keep_alive) == kept


def test_a_binding_that_is_gone_gets_nothing_more() -> None:
    bench, agent = Bench(), Agent()
    bench.bound(agent)
    bench.advance(60.0)
    before = len(agent.got)
    bench.keep_alive.unbound(agent, bench.now)
    bench.keep_alive.unbound(agent, bench.now)
    bench.advance(100.0)
    assert len(agent.got) == before > 0
    assert bench.timers.deadline() == NEVER


def test_a_binding_that_moved_gets_them_where_it_is() -> None:
    bench, agent = Bench(), Agent(1)
    bench.bound(agent)
    bench.advance(30.0)
    agent.number = 2
    bench.bound(agent)
    bench.advance(60.0)
    assert {wire.flow.peer[1] for wire in agent.got} == {40_001, 40_002}
    agent.natted = False
    bench.bound(agent)
    assert len(bench.keep_alive) == 0


def test_new_settings_hold_from_the_next_one_on() -> None:
    bench, agent = Bench(), Agent()
    bench.bound(agent)
    bench.advance(60.0)
    bench.keep_alive.config = KeepAliveConfig(method="crlf")
    bench.advance(60.0)
    assert agent.got[-1].data == b"\r\n\r\n"
    before = len(agent.got)
    bench.keep_alive.config = KeepAliveConfig(method="none")
    bench.advance(60.0)
    assert len(agent.got) == before
    assert len(bench.keep_alive) == 0
    bench.keep_alive.config = KeepAliveConfig()
    bench.bound(agent)
    bench.advance(60.0)
    assert len(agent.got) > before


def test_thousands_that_register_at_once_are_asked_at_their_own_times() -> None:
    bench = Bench(interval_s=25.0)
    agents = [Agent(number) for number in range(2000)]
    bench.bound(*agents)
    bench.advance(100.0)
    per_tick: dict[float, int] = {}
    for agent in agents:
        assert len(agent.got) in (3, 4, 5)
        for at in agent.times:
            per_tick[at] = per_tick.get(at, 0) + 1
    assert max(per_tick.values()) <= 20  # 5 on average


def test_after_a_pause_the_answers_that_wait_are_heard_first() -> None:
    bench, agent = Bench(interval_s=25.0, jitter=0.0, missed=1), Agent(answers=False)
    bench.bound(agent)
    bench.advance(25.0 + GRID_S)
    bench.now += 300.0  # the machine stood still
    bench.timers.fire_due(bench.now)
    bench.keep_alive.answered(agent.got[0].branch.encode())
    agent.answers = True
    bench.advance(100.0)
    assert bench.lost == []
