"""What the engine decides of a connection's life, carried out on real sockets."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from live_machines import World, in_loop, interface, started, until
from websocket_peers import PING, TEXT, agent, frame, raw

from engine.boundary import Interface, Transport
from engine.config import EdgeConfig, StreamsConfig
from engine.edge import Edge, EdgeSettings
from engine.notes import ConnectionClosed
from engine.policies import load_policy


async def edge(transport: Transport, **settings: Any) -> World:
    """An edge on one interface, whose connections live as these settings say."""

    def machine(interfaces: Mapping[str, Interface]) -> Edge:
        streams = StreamsConfig(**{"lifetime": "fixed", **settings})
        config = EdgeConfig(name="edge1", interfaces=tuple(interfaces.values()), streams=streams)
        return Edge(EdgeSettings(config, load_policy(config.policy)), random.Random(1))

    return await started(machine, interface(transport))


def reasons(world: World) -> list[str]:
    return [note.reason for note in world.of(ConnectionClosed)]


def test_a_silent_connection_is_closed(fast: bool) -> None:
    async def scenario() -> None:
        world = await edge("tcp", first_message_s=0.2)
        peer = await raw(world)
        assert await peer.ended()
        assert reasons(world) == ["no whole message within 0.2 s"]
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_websocket_is_pinged_and_closed_when_it_does_not_answer(fast: bool) -> None:
    async def scenario() -> None:
        world = await edge("ws", ping_interval_s=0.2, ping_timeout_s=0.2)
        peer = await raw(world)
        await peer.shake()
        await peer.say(frame(TEXT, b"\r\n\r\n"))
        assert await peer.hear() == (TEXT, b"\r\n")
        assert (await peer.hear())[0] == PING
        assert await peer.closed()
        assert reasons(world) == ["ping unanswered for 0.2 s"]
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_one_that_answers_its_pings_stays_until_it_is_idle(fast: bool) -> None:
    async def scenario() -> None:
        world = await edge("ws", ping_interval_s=0.2, ping_timeout_s=0.5, idle_s=1.5)
        async with agent(world) as ws:
            await ws.send_str("\r\n\r\n")
            assert (await ws.receive(5)).data == "\r\n"
            await ws.receive(5)  # answers pings until the edge closes
            await until(lambda: reasons(world))
            assert reasons(world) == ["idle for 1.5 s"]
        await world.host.stop()

    in_loop(scenario, fast=fast)
