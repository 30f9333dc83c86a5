"""A registration of 180 s over connections that are closed after 120 s of silence, and three remedies."""

from __future__ import annotations

import pytest

from engine.config import RegistrarConfig, StreamsConfig
from engine.notes import ContactUnbound
from tests.engine.harness import Exchange, Peer, World
from tests.engine.registrar.registering import asks, browser, calls, edge, grants, last_invite, told
from tests.engine.wire import param

GRANTED_S = 180  # by FreeSWITCH, whatever was asked
IDLE_S = 120.0  # OpenSIPS' tcp_connection_lifetime


class Agent:
    """A browser that refreshes ten seconds before its registration expires, and answers pings."""

    def __init__(self, world: World, asks_s: int = 600) -> None:
        self.world = world
        self.peer: Peer = browser(world)
        self.asks_s = asks_s
        self.registered = 0
        self.register()

    def register(self) -> None:
        self.registered += 1
        exchange: Exchange = asks(
            self.peer, "<sip:x7k2@ab12cd.invalid;transport=ws>", expires=self.asks_s, cseq=self.registered
        )
        if not exchange.statuses:  # the edge has asked a node
            grants(self.world, GRANTED_S)
        assert exchange.final.status == 200
        self.granted_s = int(param(told(exchange)[0], "expires"))
        self.refresh_at = self.world.now + self.granted_s - 10

    def lives(self, seconds: float, *, refreshing: bool = True) -> None:
        until = self.world.now + seconds
        while self.world.now < until and not self.gone:
            self.world.advance(1.0)
            self.peer.pongs()
            if refreshing and self.world.now >= self.refresh_at:
                self.register()

    @property
    def gone(self) -> bool:
        return self.peer.flow in self.world.closed

    def is_reached(self) -> bool:
        """Whether a call from a node gets to the agent."""
        before = len(self.peer.got("INVITE"))
        node = next(each for each in self.world.nodes if each.got("REGISTER"))
        call = calls(node)
        if len(self.peer.got("INVITE")) == before:
            self.world.advance(RegistrarConfig().flow_wait_s)
            assert call.final.status == 430
            return False
        self.peer.replies(last_invite(self.peer), 486)
        assert call.final.status == 486
        call.refuse_ack()
        return True


def world_of(lifetime: str, **registrar: int) -> World:
    return edge(RegistrarConfig(**registrar), streams=StreamsConfig(lifetime=lifetime, idle_s=IDLE_S))  # type: ignore[arg-type]


def test_the_fault_an_agent_is_logged_out_without_a_word() -> None:
    world = world_of("fixed")
    agent = Agent(world)
    assert agent.granted_s == GRANTED_S
    agent.lives(119.0)
    assert not agent.gone
    agent.lives(2.0)
    assert agent.gone
    assert world.now < agent.refresh_at  # it believes that it is registered
    assert [note.why for note in world.told(ContactUnbound)] == ["connection lost: idle for 120 s"]
    assert not agent.is_reached()


@pytest.mark.parametrize(
    ("lifetime", "registrar"),
    [("fixed", {"agent_max_expires_s": 100}), ("above_expiry", {}), ("follows_registration", {})],
    ids=["a smaller expiry", "a longer idle time", "a lifetime that follows the registration"],
)
def test_the_three_remedies(lifetime: str, registrar: dict[str, int]) -> None:
    world = world_of(lifetime, **registrar)
    agent = Agent(world)
    agent.lives(1000.0)
    assert not agent.gone
    assert agent.registered > 5
    assert agent.is_reached()
    assert world.told(ContactUnbound) == []


@pytest.mark.parametrize(
    ("lifetime", "registrar", "closed_after_s"),
    [
        ("fixed", {"agent_max_expires_s": 100}, 120),
        ("above_expiry", {"agent_max_expires_s": 300}, 300 + 32),
        ("follows_registration", {}, 180 + 32),
    ],
)
def test_an_agent_that_refreshes_no_more_is_closed_none_the_less(
    lifetime: str, registrar: dict[str, int], closed_after_s: int
) -> None:
    world = world_of(lifetime, **registrar)
    agent = Agent(world)
    agent.lives(1000.0, refreshing=False)
    assert agent.gone
    assert world.now == pytest.approx(closed_after_s, abs=1.0)


def test_one_that_withdraws_falls_back_to_the_idle_time() -> None:
    world = world_of("follows_registration")
    agent = Agent(world)
    agent.lives(50.0)
    asks(agent.peer, "<sip:x7k2@ab12cd.invalid;transport=ws>", expires=0, cseq=99)
    grants(world, 0)
    agent.lives(1000.0, refreshing=False)
    assert world.now == pytest.approx(50.0 + IDLE_S, abs=1.0)


def test_calls_over_the_connection_count_as_well() -> None:
    world = world_of("fixed")
    agent = Agent(world)
    agent.lives(100.0)
    assert agent.is_reached()
    agent.lives(60.0)
    assert not agent.gone
