"""The edge before a real FreeSWITCH: ``pytest -m freeswitch --freeswitch HOST[:PORT]``.

The node needs its event socket open to this machine, an echo at 9196, and two users who may call each other.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from live_machines import World, in_loop, interface, started, until

from engine.boundary import AgentOrder, CallOrder, Flow, Interface, Send, StreamData, StreamOpened
from engine.config import EdgeConfig, EventsConfig, NodeConfig
from engine.edge import Edge, EdgeSettings
from engine.nodes import NodeSnapshot
from engine.notes import DialogEnded, EventsConnected, NodePaused
from engine.policies import load_policy
from sim.agents.notes import CallEnded, CallSetUp, CallTaken, Registered
from sim.agents.phones.config import PhonesConfig
from sim.agents.softphone import Softphone
from tests.live.live_machines import Sender

pytestmark = pytest.mark.freeswitch

EVENTS = EventsConfig(
    port=int(os.environ.get("FREESWITCH_EVENTS", "8021")),
    password=os.environ.get("FREESWITCH_EVENTS_PASSWORD", "ClueCon"),
    poll_s=0.2,
)
USERS = os.environ.get("FREESWITCH_USERS", "1000,1001").split(",")
PASSWORD = os.environ.get("FREESWITCH_PASSWORD", "1234")


class Site:
    """An edge before the node, and what the tests ask of it."""

    def __init__(self, edge: World, host: str, here: str) -> None:
        self.edge = edge
        self.host = host
        self.here = here
        self.phones: list[World] = []

    @property
    def machine(self) -> Edge:
        machine = self.edge.host.machine
        assert isinstance(machine, Edge)
        return machine

    @property
    def node(self) -> NodeSnapshot:
        return self.machine.nodes_snapshot(self.edge.host.now)[0]

    async def phone(self, user: str) -> World:
        """A registered softphone."""

        def machine(interfaces: Mapping[str, Interface]) -> Softphone:
            config = PhonesConfig(
                name=f"phone-{user}",
                interface=interfaces["a"],
                server=self.edge.address,
                domain=self.host,
                users=(user,),
                password=PASSWORD,
                answer_delay_s=0.1,
            )
            return Softphone(config, random.Random())

        phone = await started(machine, interface(host=self.here))
        self.phones.append(phone)
        await until(lambda: phone.of(Registered))
        return phone


@asynccontextmanager
async def site(freeswitch: str, events: EventsConfig | None = EVENTS) -> AsyncIterator[Site]:
    host, _, port = freeswitch.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 5060))
        here = probe.getsockname()[0]
    node = NodeConfig(
        name="FS1", host=host, port=int(port or 5060), interface="in", told_resources=("pstn",), events=events
    )

    def settings(interfaces: tuple[Interface, ...]) -> EdgeConfig:
        return EdgeConfig(name="edge1", interfaces=interfaces, nodes=(node,))

    def machine(bound: Mapping[str, Interface]) -> Edge:
        config = settings((bound["a"], bound["in"]))
        return Edge(EdgeSettings(config, load_policy(config.policy)), random.SystemRandom())

    asked = settings((interface(host=here), interface(host=here, name="in")))
    place = Site(await started(machine, *asked.host_interfaces), host, here)
    try:
        await until(lambda: events is None or place.edge.of(EventsConnected))
        yield place
    finally:
        for world in (*place.phones, place.edge):
            await world.host.stop()


async def order_node(site: Site, command: str) -> None:
    """Tell the node something over an event socket of the test's own."""
    world = await started(Sender(), interface("tcp", host=site.here, listens=False))
    flow = Flow("a", (site.host, EVENTS.port))
    world.order(Send(flow, b""))
    await until(lambda: world.machine.of(StreamOpened))
    stand = world.machine.of(StreamOpened)[0].flow
    world.order(Send(stand, f"auth {EVENTS.password}\n\napi {command}\n\n".encode()))
    await until(lambda: b"api/response" in b"".join(event.data for event in world.machine.of(StreamData)))
    await world.host.stop()


def standing(site: Site) -> list[Any]:
    return list(site.machine.calls(site.edge.host.now))


def test_it_tells_its_sessions_and_their_bound(freeswitch: str) -> None:
    async def scenario() -> None:
        async with site(freeswitch) as place:
            node = place.node
            assert node.events
            assert node.max_sessions
            assert node.capacity == {"pstn": node.max_sessions}

    in_loop(scenario)


def test_a_call_is_a_channel_there_until_it_ends(freeswitch: str) -> None:
    async def scenario() -> None:
        async with site(freeswitch) as place:
            before = place.node.sessions or 0
            phone = await place.phone(USERS[0])
            phone.host.deliver(AgentOrder("call", "9196 for 1"))
            await until(lambda: phone.of(CallSetUp), 10)
            await until(lambda: standing(place) and standing(place)[0].uuid)
            assert (place.node.sessions or 0) > before
            await until(lambda: phone.of(CallEnded), 10)
            await until(lambda: (place.node.sessions or 0) <= before)
            assert [note.why for note in place.edge.of(DialogEnded)] == ["bye"]

    in_loop(scenario)


def test_the_two_legs_of_a_call_between_agents_are_known_as_one(freeswitch: str) -> None:
    async def scenario() -> None:
        async with site(freeswitch) as place:
            caller, called = await place.phone(USERS[0]), await place.phone(USERS[1])
            caller.host.deliver(AgentOrder("call", f"{USERS[1]} for 2"))
            await until(lambda: called.of(CallTaken) and caller.of(CallSetUp), 15)
            call_id, other = caller.of(CallSetUp)[0].call_id, called.of(CallTaken)[0].call_id
            calls = place.machine.events.calls("FS1")
            assert calls is not None
            await until(lambda: calls.partner(call_id))
            partner, back = calls.partner(call_id), calls.partner(other)
            assert partner is not None
            assert back is not None
            assert (partner.call_id, back.call_id) == (other, call_id)
            assert (partner.inbound, back.inbound) == (False, True)
            await until(lambda: caller.of(CallEnded), 10)
            await until(lambda: calls.of_call(call_id) is None)

    in_loop(scenario)


def test_a_socket_that_is_opened_again_learns_what_stands(freeswitch: str) -> None:
    """As after a restart of the edge: the table is as it was."""

    async def scenario() -> None:
        async with site(freeswitch) as place:
            caller, called = await place.phone(USERS[0]), await place.phone(USERS[1])
            caller.host.deliver(AgentOrder("call", f"{USERS[1]} for 6"))
            await until(lambda: called.of(CallTaken) and caller.of(CallSetUp), 15)
            call_id, other = caller.of(CallSetUp)[0].call_id, called.of(CallTaken)[0].call_id
            async with site(freeswitch) as second:
                calls = second.machine.events.calls("FS1")
                assert calls is not None
                partner = calls.partner(call_id)
                assert partner is not None
                assert partner.call_id == other

    in_loop(scenario)


@pytest.mark.parametrize("events", [EVENTS, None], ids=["by the node", "by the edge"])
def test_an_operator_ends_a_call_for_both(freeswitch: str, events: EventsConfig | None) -> None:
    """Without its event socket the node hears a BYE as from the caller, and hangs up its other leg."""

    async def scenario() -> None:
        async with site(freeswitch, events) as place:
            caller, called = await place.phone(USERS[0]), await place.phone(USERS[1])
            caller.host.deliver(AgentOrder("call", f"{USERS[1]} for 15"))
            await until(lambda: called.of(CallTaken) and caller.of(CallSetUp), 15)
            await until(lambda: standing(place) and (events is None or standing(place)[0].partner))
            place.edge.host.deliver(CallOrder(standing(place)[0].call_id, "end"))
            await until(lambda: called.of(CallEnded) and caller.of(CallEnded))
            assert {note.why for note in (*called.of(CallEnded), *caller.of(CallEnded))} == {"far end hung up"}

    in_loop(scenario)


def test_a_pause_is_seen_and_its_end(freeswitch: str) -> None:
    async def scenario() -> None:
        async with site(freeswitch) as place:
            try:
                await order_node(place, "fsctl pause")
                await until(lambda: place.edge.of(NodePaused) == [NodePaused("FS1", True)])
                assert place.node.paused
            finally:
                await order_node(place, "fsctl resume")
            await until(lambda: not place.node.paused)

    in_loop(scenario)
