"""SIP over WebSocket on real sockets: who is let in, life and death of connections, and the client side."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError
from live_machines import (
    HOST,
    Sender,
    closed_port,
    in_loop,
    interface,
    some_turns,
    started,
    until,
)
from websocket_peers import (
    ACCEPT,
    GOING_AWAY,
    TEXT,
    agent,
    frame,
    head,
    heard,
    raw,
    still_serves,
    ws_world,
)

from engine.boundary import Close, Flow, Ping, Pong, Send, StreamClosed, StreamData, StreamOpened
from engine.live import LiveSettings
from engine.live.notes import InterfaceBound
from engine.notes import ConnectionsRefused

# --- hand-shakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/ws?user=1000", "/a/b"])
def test_a_message_is_a_frame_on_any_path(path: str, fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world()
        async with agent(world, path) as ws:
            assert ws.protocol == "sip"
            await ws.send_str("REGISTER")
            got = await ws.receive(5)
            assert (got.type, got.data) == (WSMsgType.TEXT, "REGISTER")
            opened = world.machine.of(StreamOpened)[0]
            assert opened.accepted
            assert opened.flow.stream == 1
            assert world.machine.of(StreamData) == [StreamData(opened.flow, b"REGISTER")]
            assert (world.host.stats()[0].transport, world.host.stats()[0].connections) == ("ws", 1)
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed) == [StreamClosed(opened.flow, "closed by peer", farewell=True)]
        await world.host.stop()

    in_loop(scenario, fast=fast)


REFUSED = [
    ("no subprotocol", head(Sec_WebSocket_Protocol=None), 400),
    ("another subprotocol", head(Sec_WebSocket_Protocol="xmpp, sipX"), 400),
    ("foreign origin", head(Origin="https://evil.example.net"), 403),
    ("origin null", head(Origin="null"), 403),
    ("a web browser that looks in", head(Upgrade=None, Connection=None), 426),
    ("another protocol", head(Upgrade="h2c"), 426),
    ("an old version", head(Sec_WebSocket_Version="8"), 426),
    ("a POST", head(request="POST / HTTP/1.1", Content_Length="3") + b"abc", 426),
    ("HTTP/1.0", head(request="GET / HTTP/1.0"), 426),
    ("no key", head(Sec_WebSocket_Key=None), 400),
    ("a short key", head(Sec_WebSocket_Key="c2hvcnQ="), 400),
    ("a key that is none", head(Sec_WebSocket_Key="\x7f" * 24), 400),
    ("no Host", head(Host=None), 400),
    ("SIP", b"OPTIONS sip:edge SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n", 400),
    ("TLS", bytes.fromhex("16030100a5010000a10303") + bytes(200), 400),
    ("junk", bytes(range(128, 256)), 400),
    ("an endless line", b"GET /" + b"a" * 70_000, 400),
    ("an endless header", b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 70_000, 400),
    ("endless headers", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000, 400),
]


@pytest.mark.parametrize(("request_", "status"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_who_does_not_speak_sip_over_websocket_from_the_right_page_is_refused(
    request_: bytes, status: int
) -> None:
    async def scenario() -> None:
        world = await ws_world(origins=("https://phone.example.org",))
        peer = await raw(world)
        await peer.say(request_)
        answer = await peer.answer()
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"\r\nUpgrade: websocket\r\n" in answer or b"Version: 13" in answer or status != 426
        assert await peer.ended()
        await until(lambda: world.of(ConnectionsRefused))
        assert f"hand-shake: {status} " in world.of(ConnectionsRefused)[0].why
        assert not world.machine.inputs
        peer.sock.close()
        await still_serves(world)
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize("origin", ["https://phone.example.org", "HTTPS://Phone.example.org", None])
def test_the_right_page_and_clients_without_a_page_are_let_in(origin: str | None) -> None:
    async def scenario() -> None:
        world = await ws_world(origins=("https://phone.example.org",))
        peer = await raw(world)
        await peer.say(head(Origin=origin, Sec_WebSocket_Protocol="chat, sip"))
        answer = await peer.answer()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n" in answer
        assert b"\r\nSec-WebSocket-Protocol: sip\r\n" in answer
        assert b"Extensions" not in answer
        peer.sock.close()
        await world.host.stop()

    in_loop(scenario)


def test_a_hand_shake_may_come_byte_by_byte_and_bring_a_frame() -> None:
    async def scenario() -> None:
        world = await ws_world()
        peer = await raw(world)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = head() + frame(TEXT, b"hello")
        for byte in data[:-3]:
            await peer.say(bytes((byte,)))
        await peer.say(data[-3:])
        assert (await peer.answer()).endswith(frame(TEXT, b"hello")[:1] + b"\x05hello") or (
            await peer.hear() == (TEXT, b"hello")
        )
        peer.sock.close()
        await world.host.stop()

    in_loop(scenario)


def test_who_holds_on_without_a_hand_shake_is_dropped(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world(settings=LiveSettings(handshake_s=0.1))
        silent, slow = await raw(world), await raw(world)
        await slow.say(head()[:40])
        assert await silent.ended()
        assert await slow.ended()
        await until(lambda: world.of(ConnectionsRefused))
        assert world.of(ConnectionsRefused)[0].why == "hand-shake: timed out"
        assert not world.machine.inputs
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_flood_of_half_open_connections_keeps_nobody_out(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world(settings=LiveSettings(half_open=8, half_open_s=0.01, connections=50))
        async with agent(world) as early:
            flood = [await raw(world) for _ in range(100)]
            await still_serves(world)
            await early.send_str("still here")
            assert (await early.receive(5)).data == "still here"
        assert all([await peer.ended() for peer in flood[:90]])
        for peer in flood:
            peer.sock.close()
        await until(lambda: world.of(ConnectionsRefused))
        assert world.of(ConnectionsRefused)[0].why == "more than 8 hand-shakes at once"
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_of_a_crowd_that_comes_back_at_once_nobody_is_turned_away(fast: bool) -> None:
    """More than may shake hands at once: the rest waits in the kernel until some are done."""

    async def scenario() -> None:
        world = await ws_world(settings=LiveSettings(half_open=4, half_open_s=60.0))
        crowd = [await raw(world) for _ in range(40)]
        await some_turns()
        await asyncio.gather(*(peer.shake() for peer in crowd))
        await until(lambda: len(world.machine.of(StreamOpened)) == 40)
        assert not world.of(ConnectionsRefused)
        for peer in crowd:
            peer.sock.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_flood_of_connections_ends_at_the_bound_and_room_is_given_back() -> None:
    async def scenario() -> None:
        world = await ws_world(settings=LiveSettings(connections=5))
        async with agent(world) as early:
            flood = [await raw(world) for _ in range(4)]
            for peer in flood:
                await peer.shake()
            late = [await raw(world) for _ in range(20)]
            assert all([await peer.ended() for peer in late])
            await until(lambda: world.of(ConnectionsRefused))
            assert world.of(ConnectionsRefused)[0].why == "more than 5 connections"
            await early.send_str("still here")
            assert (await early.receive(5)).data == "still here"
            flood[0].sock.close()
            await until(lambda: world.machine.of(StreamClosed))
            await still_serves(world)
        for peer in flood + late:
            peer.sock.close()
        await world.host.stop()

    in_loop(scenario)


# --- life ---------------------------------------------------------------------------------------------------


def test_frozen_it_reads_nothing_then_everything(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world()
        async with agent(world) as ws:
            await until(lambda: world.machine.of(StreamOpened))
            world.host.freeze()
            late = await raw(world)  # by the kernel, as under SIGSTOP
            await late.say(head() + frame(TEXT, b"late"))
            await ws.send_str("hello")
            await some_turns()
            assert not heard(world.machine)
            world.host.thaw()
            assert (await ws.receive(5)).data == "hello"
            await until(lambda: sorted(heard(world.machine)) == [b"hello", b"late"])
            late.sock.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_stopped_it_says_farewell_to_all_and_waits_for_nobody_for_long(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world()
        silent, half = await raw(world), await raw(world)
        await silent.shake()
        async with agent(world) as ws:
            await until(lambda: len(world.machine.of(StreamOpened)) == 2)
            stopping = asyncio.create_task(world.host.stop())
            assert (await ws.receive(5)).type is WSMsgType.CLOSE
            assert ws.close_code == GOING_AWAY
        assert await silent.closed() == GOING_AWAY
        assert await half.ended()
        async with asyncio.timeout(5):
            await stopping
        assert await silent.ended()
        for peer in (silent, half):
            peer.sock.close()

    in_loop(scenario, fast=fast)


def test_killed_its_peers_see_the_end_and_the_port_is_free(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world()
        port = world.address[1]
        peer, half = await raw(world), await raw(world)
        await peer.shake()
        world.host.kill()
        assert await peer.ended()
        assert await half.ended()
        for each in (peer, half):
            each.sock.close()
        again = await ws_world(port=port)
        await still_serves(again)
        await again.host.stop()

    in_loop(scenario, fast=fast)


# --- the client side, which modelled browsers use -----------------------------------------------------------


def test_a_send_without_a_stream_opens_a_websocket_and_reuses_it(fast: bool) -> None:
    async def scenario() -> None:
        far = await ws_world()
        near = await started(Sender(), interface("ws", listens=False))
        assert not near.of(InterfaceBound)
        flow = Flow("a", far.address)
        near.order(*(Send(flow, b"%d" % number) for number in range(5)))
        await until(lambda: heard(near.machine) == [b"0", b"1", b"2", b"3", b"4"])
        near.order(Send(flow, b"\xff"))
        await until(lambda: heard(near.machine)[5:] == [b"\xff"])
        opened = near.machine.of(StreamOpened)
        assert opened == [StreamOpened(Flow("a", far.address, 1), accepted=False)]
        assert len(far.machine.of(StreamOpened)) == 1
        near.order(Close(opened[0].flow))
        await until(lambda: near.machine.of(StreamClosed) and far.machine.of(StreamClosed))
        assert far.machine.of(StreamClosed)[0].reason == "closed by peer"
        await near.host.stop()
        await far.host.stop()

    in_loop(scenario, fast=fast)


def test_a_send_of_nothing_opens_a_websocket_and_says_nothing(fast: bool) -> None:
    async def scenario() -> None:
        far = await ws_world()
        near = await started(Sender(), interface("ws", listens=False))
        flow = Flow("a", far.address)
        near.order(Send(flow, b""))
        await until(lambda: near.machine.of(StreamOpened) and far.machine.of(StreamOpened))
        near.order(Send(flow, b""), Send(flow, b"x"))
        await until(lambda: heard(far.machine) == [b"x"])
        await near.host.stop()
        await far.host.stop()

    in_loop(scenario, fast=fast)


def test_a_cut_ends_the_connections_with_some_hosts_at_once() -> None:
    async def scenario() -> None:
        far = await ws_world()
        near = await started(Sender(), interface("ws", listens=False))
        near.order(Send(Flow("a", far.address), b"x"))
        await until(lambda: heard(far.machine))
        near.host.cut(["192.0.2.1"])
        assert not near.machine.of(StreamClosed)
        near.host.cut([far.address[0]])
        await until(lambda: near.machine.of(StreamClosed) and far.machine.of(StreamClosed))
        assert near.machine.of(StreamClosed)[0].reason == "cut"
        await near.host.stop()
        await far.host.stop()

    in_loop(scenario)


def test_each_side_may_ping_the_other() -> None:
    async def scenario() -> None:
        far, near = await ws_world(Sender()), await started(Sender(), interface("ws", listens=False))
        near.order(Send(Flow("a", far.address), b"x"))
        await until(lambda: heard(far.machine))
        near.order(Ping(near.machine.of(StreamOpened)[0].flow))
        far.order(Ping(far.machine.of(StreamOpened)[0].flow))
        await until(lambda: near.machine.of(Pong) and far.machine.of(Pong))
        await near.host.stop()
        await far.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403 Forbidden"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "not answered"),
        (b"SIP/2.0 200 OK\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "no HTTP answer"),
        (b"", "closed by peer"),
    ],
)
def test_a_peer_that_refuses_the_websocket_is_unreachable(answer: bytes, reason: str) -> None:
    async def scenario() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(refuse, HOST, 0)
        flow = Flow("a", server.sockets[0].getsockname()[:2])
        near = await started(Sender(), interface("ws", listens=False))
        near.order(Send(flow, b"1"), Send(flow, b"2"))
        await until(lambda: near.machine.unreachable)
        assert [event.flow for event in near.machine.unreachable] == [flow]
        assert reason in near.machine.unreachable[0].reason
        assert not near.machine.of(StreamOpened)
        await near.host.stop()
        server.close()

    in_loop(scenario)


def test_a_peer_that_is_not_there_or_says_nothing_is_unreachable() -> None:
    async def scenario() -> None:
        with socket.create_server((HOST, 0)) as silent:
            near = await started(Sender(), interface("ws", listens=False), settings=LiveSettings(handshake_s=0.1))
            near.order(Send(Flow("a", (HOST, closed_port())), b"x"), Send(Flow("a", silent.getsockname()), b"x"))
            await until(lambda: len(near.machine.unreachable) == 2)
            assert {event.reason for event in near.machine.unreachable} == {"connection refused", "timed out"}
            await near.host.stop()

    in_loop(scenario)


def test_aiohttp_is_refused_as_a_raw_socket_is() -> None:
    async def scenario() -> None:
        world = await ws_world(origins=("https://phone.example.org",))
        with pytest.raises(WSServerHandshakeError) as refused:
            async with agent(world, origin="https://evil.example.net"):
                pass
        assert refused.value.status == 403
        await world.host.stop()

    in_loop(scenario)
