"""Hostile peers of a live edge's WebSocket: who keeps to the rules is served on, and nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Mapping

from aiohttp import ClientWebSocketResponse
from live_machines import World, in_loop, interface, started, until
from websocket_peers import BINARY, CLOSE, PING, TEXT, agent, frame, head, raw

from engine.boundary import Interface
from engine.config import EdgeConfig, LimitsConfig
from engine.edge import Edge, EdgeSettings
from engine.live import LiveSettings
from engine.live.notes import MachineFailed
from engine.notes import ConnectionClosed, ConnectionOpened
from engine.policies import load_policy

GROWTH_BYTES = 64 * 1024  # of a round of hostility, once a first one has filled what is filled once


async def edge(**limits: int) -> World:
    def machine(interfaces: Mapping[str, Interface]) -> Edge:
        config = EdgeConfig(name="edge1", interfaces=tuple(interfaces.values()), limits=LimitsConfig(**limits))
        return Edge(EdgeSettings(config, load_policy(config.policy)), random.Random(1))

    settings = LiveSettings(note_interval_s=0.02, handshake_s=0.3, close_wait_s=0.2)
    return await started(machine, interface("ws"), settings=settings)


def options(number: int, host: str) -> str:
    return (
        f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKo{number}\r\n"
        f"From: <sip:a@{host}>;tag=1\r\nTo: <sip:{host}>\r\nCall-ID: o{number}\r\nCSeq: 1 OPTIONS\r\n"
        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )


async def answered(world: World, ws: ClientWebSocketResponse, number: int) -> None:
    host, port = world.address
    await ws.send_str(options(number, f"{host}:{port};transport=ws"))
    answer = (await ws.receive(5)).data
    assert answer.startswith("SIP/2.0 200 "), answer
    assert f"Call-ID: o{number}\r\n" in answer


def nonsense(seed: int) -> bytes:
    """Frames of junk, of SIP cut short, and of lies about lengths, all of them well-formed."""
    rng = random.Random(seed)
    whole = options(seed, "edge").encode()
    bodies = [
        rng.randbytes(rng.randrange(2_000)),
        whole[: rng.randrange(len(whole))],
        whole.replace(b"Content-Length: 0", b"Content-Length: %d" % rng.randrange(-5, 10**12)),
        b"\x00" * rng.randrange(1, 5_000),
        b"\r\n" * rng.randrange(1, 500),
        b"INVITE " + b"a" * 20_000,
        b"",
    ]
    rng.shuffle(bodies)
    return b"".join(frame(BINARY, body) for body in bodies)


def test_junk_in_good_frames_harms_nobody(fast: bool) -> None:
    async def scenario() -> None:
        world = await edge()
        async with agent(world) as other:
            for seed in range(40):
                peer = await raw(world)
                await peer.shake()
                await peer.say(nonsense(seed))
                await answered(world, other, seed)
                peer.sock.close()
            await until(lambda: len(world.of(ConnectionClosed)) == 40)
        assert not world.of(MachineFailed)
        await world.host.stop()

    in_loop(scenario, fast=fast)


HOSTILE = [
    b"",
    head()[:50],
    head(Sec_WebSocket_Protocol=None),
    b"GET / HTTP/1.1\r\nCookie: " + b"x" * 60_000,
    head() + frame(TEXT, b"x" * 60_000, final=False),
    head() + frame(BINARY, b"x", size=1 << 40),
    head() + frame(PING, b"x" * 125) * 50,
    head() + frame(CLOSE, b"\x03\xe8"),
    head() + b"\xff" * 3_000,
    head() + nonsense(1),
]


STANDING = sum(data.startswith(head()) for data in HOSTILE)  # those that get past the hand-shake


def in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_hostile_peers_leave_nothing_behind() -> None:
    async def scenario() -> None:
        world = await edge()
        async with agent(world) as other:
            await answered(world, other, 1)

            async def round_of_hostility() -> None:
                world.notes.clear()
                peers = [await raw(world) for _ in HOSTILE * 5]
                await asyncio.gather(*(peer.say(data) for peer, data in zip(peers, HOSTILE * 5, strict=True)))
                await answered(world, other, 2)
                await until(lambda: len(world.of(ConnectionOpened)) == 5 * STANDING)
                for peer in peers:
                    peer.sock.close()
                await until(lambda: len(world.of(ConnectionClosed)) == 5 * STANDING)
                await until(lambda: world.host.stats()[0].connections == 1)

            tracemalloc.start()
            try:
                await round_of_hostility()
                first = in_use()
                for _ in range(3):
                    await round_of_hostility()
                # Refused hand-shakes linger a moment for their peers to read why.
                await until(lambda: in_use() - first < GROWTH_BYTES)
            finally:
                tracemalloc.stop()
        await world.host.stop()

    in_loop(scenario)
