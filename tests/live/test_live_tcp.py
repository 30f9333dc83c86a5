"""TCP on real sockets: numbered connections, Sends that open one, and peers that behave badly."""

from __future__ import annotations

import asyncio
import socket
import struct

from live_machines import (
    HOST,
    Echo,
    Recorder,
    Sender,
    World,
    closed_port,
    in_loop,
    interface,
    receive,
    some_turns,
    started,
    until,
)

from engine.boundary import Close, Flow, Send, StreamClosed, StreamData, StreamOpened, Unreachable
from engine.live import LiveSettings
from engine.notes import ConnectionsRefused


async def connect(world: World) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, world.address)
    return sock


def heard(machine: Recorder) -> bytes:
    return b"".join(event.data for event in machine.of(StreamData))


def test_connections_are_numbered_from_one(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Echo(), interface("tcp"))
        first = await connect(world)
        await until(lambda: len(world.machine.of(StreamOpened)) == 1)
        second = await connect(world)
        await asyncio.get_running_loop().sock_sendall(second, b"two")
        assert await receive(second) == b"two"
        streams = [event.flow.stream for event in world.machine.of(StreamOpened)]
        assert streams == [1, 2]
        assert world.machine.of(StreamData)[0].flow == Flow("a", second.getsockname(), 2)
        assert world.host.stats()[0].connections == 2
        first.close()
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed)[0].flow.stream == 1
        await world.host.stop()
        assert await receive(second) == b""
        second.close()

    in_loop(scenario, fast=fast)


def test_a_send_without_a_stream_opens_one_keeps_the_order_and_reuses_it(fast: bool) -> None:
    async def scenario() -> None:
        far = await started(Recorder(), interface("tcp"))
        near = await started(Sender(), interface("tcp"))
        flow = Flow("a", far.address)
        near.order(*(Send(flow, b"%d," % n) for n in range(5)))
        await until(lambda: heard(far.machine) == b"0,1,2,3,4,")
        near.order(Send(flow, b"5"))
        await until(lambda: heard(far.machine) == b"0,1,2,3,4,5")
        assert len(far.machine.of(StreamOpened)) == len(near.machine.of(StreamOpened)) == 1
        assert near.machine.of(StreamOpened)[0].flow == Flow("a", far.address, 1)
        await near.host.stop()
        await until(lambda: far.machine.of(StreamClosed))
        await far.host.stop()

    in_loop(scenario, fast=fast)


def test_a_send_without_a_stream_goes_back_over_an_accepted_connection() -> None:
    async def scenario() -> None:
        world = await started(Sender(), interface("tcp"))
        sock = await connect(world)
        await until(lambda: world.machine.of(StreamOpened))
        world.order(Send(Flow("a", sock.getsockname()), b"back"))
        assert await receive(sock) == b"back"
        sock.close()
        await world.host.stop()

    in_loop(scenario)


def test_names_are_resolved_for_connections() -> None:
    async def scenario() -> None:
        far = await started(Recorder(), interface("tcp"))
        near = await started(Sender(), interface("tcp"))
        near.order(Send(Flow("a", ("localhost", far.address[1])), b"x"))
        await until(lambda: heard(far.machine) == b"x")
        near.order(Send(Flow("a", ("nowhere.invalid", 5060)), b"x"))
        await until(lambda: near.machine.unreachable)
        await near.host.stop()
        await far.host.stop()

    in_loop(scenario)


def test_a_refused_connection_is_unreachable_once_per_flow(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Sender(), interface("tcp"))
        flow = Flow("a", (HOST, closed_port()))
        world.order(Send(flow, b"1"), Send(flow, b"2"), Send(Flow("a", (HOST, 70_000)), b"x"))
        await until(lambda: len(world.machine.unreachable) == 2)
        assert Unreachable(flow, "connection refused") in world.machine.unreachable
        assert not world.machine.of(StreamClosed)
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_send_on_a_closed_stream_is_unreachable() -> None:
    async def scenario() -> None:
        world = await started(Sender(), interface("tcp"))
        flow = Flow("a", (HOST, 5060), 9)
        world.order(Send(flow, b"x"), Close(flow))
        await until(lambda: world.machine.unreachable)
        assert world.machine.unreachable[0].flow == flow
        await world.host.stop()

    in_loop(scenario)


def test_close_sends_first_what_was_sent_before(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Sender(), interface("tcp"))
        sock = await connect(world)
        await until(lambda: world.machine.of(StreamOpened))
        flow = world.machine.of(StreamOpened)[0].flow
        data = bytes(500_000)
        world.order(Send(flow, data), Close(flow))
        got = b""
        while chunk := await receive(sock):
            got += chunk
        assert got == data
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed) == [StreamClosed(flow, "closed by this side")]
        sock.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_peer_that_reads_nothing_is_cut_off(fast: bool) -> None:
    async def scenario() -> None:
        settings = LiveSettings(write_buffer_bytes=100_000)
        world = await started(Sender(), interface("tcp"), settings=settings)
        sock = await connect(world)
        await until(lambda: world.machine.of(StreamOpened))
        flow = world.machine.of(StreamOpened)[0].flow
        for _ in range(1_000):
            world.order(Send(flow, bytes(65_536)))
            if world.machine.of(StreamClosed):
                break
            await asyncio.sleep(0)
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed) == [StreamClosed(flow, "peer reads too slowly")]
        sock.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_connections_beyond_the_bound_are_closed_at_once_and_room_is_given_back(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Recorder(), interface("tcp"), settings=LiveSettings(connections=2))
        socks = [await connect(world) for _ in range(3)]
        assert await receive(socks[2]) == b""
        await until(lambda: world.of(ConnectionsRefused))
        assert world.of(ConnectionsRefused)[0].why == "more than 2 connections"
        socks[0].close()
        await until(lambda: world.machine.of(StreamClosed))
        socks.append(await connect(world))
        await until(lambda: len(world.machine.of(StreamOpened)) == 3)
        for sock in socks:
            sock.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_an_abrupt_reset_is_a_closed_stream(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Recorder(), interface("tcp"))
        sock = await connect(world)
        await asyncio.get_running_loop().sock_sendall(sock, b"INVITE sip:")
        await until(lambda: heard(world.machine))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed)[0].reason == "connection reset by peer"
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_frozen_it_accepts_and_reads_nothing_then_everything(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Echo(), interface("tcp"))
        loop = asyncio.get_running_loop()
        early = await connect(world)
        await until(lambda: world.machine.of(StreamOpened))
        world.host.freeze()
        late = await connect(world)  # by the kernel, as under SIGSTOP
        for sock in (early, late):
            await loop.sock_sendall(sock, b"hello")
        await some_turns()
        assert not world.machine.of(StreamData)
        assert len(world.machine.of(StreamOpened)) == 1
        world.host.thaw()
        assert [await receive(sock) for sock in (early, late)] == [b"hello", b"hello"]
        early.close()
        late.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_killed_its_peers_see_the_end_and_the_port_is_free(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Echo(), interface("tcp"))
        port = world.address[1]
        sock = await connect(world)
        await until(lambda: world.machine.of(StreamOpened))
        world.host.kill()
        assert await receive(sock) == b""
        sock.close()
        assert not world.machine.of(StreamClosed)
        again = await started(Echo(), interface("tcp", port=port))
        await again.host.stop()

    in_loop(scenario, fast=fast)


def test_a_host_stopped_while_it_connects_leaves_nothing_behind(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Sender(), interface("tcp"))
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as deaf:
            deaf.bind((HOST, 0))
            deaf.listen(1)
            world.order(Send(Flow("a", deaf.getsockname()), b"x"))
            await world.host.stop()
            await some_turns()

    in_loop(scenario, fast=fast)
