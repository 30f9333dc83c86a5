"""SIP over WebSocket, frame by frame (RFC 6455, RFC 7118): messages, rules and who breaks them, farewells."""

from __future__ import annotations

import asyncio
import os

import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st
from live_machines import (
    HOST,
    Sender,
    in_loop,
    until,
)
from websocket_peers import (
    BINARY,
    CLOSE,
    GOING_AWAY,
    INVALID_TEXT,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    agent,
    frame,
    heard,
    raw,
    still_serves,
    ws_world,
)

from engine.boundary import Close, Flow, Ping, Pong, Send, StreamClosed, StreamData, StreamOpened, Unreachable
from engine.live import LiveSettings
from engine.live.frames import Masking

# --- frames -------------------------------------------------------------------------------------------------


def test_it_answers_in_the_kind_of_frame_that_the_peer_uses() -> None:
    async def scenario() -> None:
        world = await ws_world()
        async with agent(world) as ws:
            kinds = []
            for data in (b"text", b"\xff\x00 no UTF-8", b"text again"):
                await (ws.send_bytes(data) if data[0] == 0xFF else ws.send_str(data.decode()))
                kinds.append((await ws.receive(5)).type)
            assert kinds == [WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.TEXT]
        await world.host.stop()

    in_loop(scenario)


def test_what_is_no_text_goes_to_a_peer_that_uses_text_in_a_binary_frame() -> None:
    async def scenario() -> None:
        world = await ws_world(Sender())
        async with agent(world) as ws:
            await until(lambda: world.machine.of(StreamOpened))
            flow = world.machine.of(StreamOpened)[0].flow
            world.order(Send(flow, "Zoë".encode()), Send(flow, "Zoë".encode("latin-1")))
            assert (await ws.receive(5)).data == "Zoë"
            assert (await ws.receive(5)).data == "Zoë".encode("latin-1")
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize("size", [1, 125, 126, 1_500, 65_535])
def test_messages_of_all_sizes_go_both_ways(size: int) -> None:
    async def scenario() -> None:
        world = await ws_world()
        async with agent(world) as ws:
            await ws.send_bytes(message := os.urandom(size))
            assert (await ws.receive(5)).data == message
        await world.host.stop()

    in_loop(scenario)


def test_fragments_are_joined_with_pings_between_them() -> None:
    async def scenario() -> None:
        world = await ws_world()
        peer = await raw(world)
        await peer.shake()
        await peer.say(frame(TEXT, b"REG", final=False) + frame(PING, b"p") + frame(0, b"IST", final=False))
        assert await peer.hear() == (10, b"p")
        assert not world.machine.of(StreamData)
        await peer.say(frame(0, b"ER"))
        assert await peer.hear() == (TEXT, b"REGISTER")
        assert heard(world.machine) == [b"REGISTER"]
        peer.sock.close()
        await world.host.stop()

    in_loop(scenario)


def test_empty_frames_do_nothing() -> None:
    async def scenario() -> None:
        world = await ws_world()
        peer = await raw(world)
        await peer.shake()
        await peer.say(frame(TEXT) * 1_000 + frame(BINARY) * 1_000 + frame(PING) + frame(TEXT, b"x"))
        assert [await peer.hear() for _ in range(2)] == [(10, b""), (TEXT, b"x")]
        assert heard(world.machine) == [b"x"]
        await peer.say(frame(TEXT, final=False) + frame(0, final=False) * 1_000 + frame(0))
        await still_serves(world)
        peer.sock.close()
        await world.host.stop()

    in_loop(scenario)


BROKEN = [
    ("a frame that says it is over-long", frame(TEXT, b"x" * 100, size=65_536), TOO_BIG),
    ("a frame of 2**62 bytes", frame(TEXT, b"x" * 100, size=1 << 62), TOO_BIG),
    ("over-long by fragments", frame(TEXT, b"x" * 60_000, final=False) + frame(0, b"x" * 6_000), TOO_BIG),
    ("text that is none", frame(TEXT, b"\xff\xfe\xfd"), INVALID_TEXT),
    ("reserved bits", frame(TEXT, b"x", rsv=4), PROTOCOL_ERROR),
    ("an unknown kind", frame(3, b"x"), PROTOCOL_ERROR),
    ("a ping that is too long", frame(PING, b"x" * 126), PROTOCOL_ERROR),
    ("a ping in fragments", frame(PING, b"x", final=False), PROTOCOL_ERROR),
    ("a continuation of nothing", frame(0, b"x"), PROTOCOL_ERROR),
    ("text between fragments", frame(TEXT, b"x", final=False) + frame(TEXT, b"y"), PROTOCOL_ERROR),
    ("a farewell that is none", frame(CLOSE, b"x"), PROTOCOL_ERROR),
    ("a farewell with a forbidden code", frame(CLOSE, (1005).to_bytes(2, "big")), PROTOCOL_ERROR),
    ("a frame without a mask", bytes((0x81, 5)) + b"hello", PROTOCOL_ERROR),
    ("a long one", bytes((0x81, 126, 1, 0)) + b"x" * 256, PROTOCOL_ERROR),
    ("an empty one", bytes((0x89, 0)), PROTOCOL_ERROR),
    ("junk", b"\xf7" * 5_000, PROTOCOL_ERROR),
]


@pytest.mark.parametrize(("data", "code"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN])
def test_who_breaks_the_rules_is_told_so_and_the_others_notice_nothing(data: bytes, code: int, fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world(settings=LiveSettings(close_wait_s=0.2))
        async with agent(world) as other:
            peer = await raw(world)
            await peer.shake()
            flow = world.machine.of(StreamOpened)[-1].flow
            await peer.say(data)
            assert await peer.closed() == code
            assert await peer.ended()
            await until(lambda: world.machine.of(StreamClosed))
            assert world.machine.of(StreamClosed) == [
                StreamClosed(flow, f"peer breaks the rules of WebSocket ({code})")
            ]
            assert not heard(world.machine)
            await other.send_str("still here")
            assert (await other.receive(5)).data == "still here"
            peer.sock.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


@given(st.lists(st.tuples(st.sampled_from((0, 1, 125, 126, 300, 70_000)), st.booleans()), max_size=5), st.data())
def test_however_the_stream_is_cut_the_first_frame_without_a_mask_is_seen(
    frames: list[tuple[int, bool]], data: st.DataObject
) -> None:
    stream, fault_at = b"", None
    for size, masked in frames:
        if not masked and fault_at is None:
            fault_at = len(stream) + 2
        octets = frame(TEXT, bytes(size))
        if not masked:
            octets = bytes((octets[0], octets[1] & 0x7F)) + octets[2 : len(octets) - size - 4] + bytes(size)
        stream += octets
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    masking, at = Masking(masked=True), 0
    for cut in [*cuts, len(stream)]:
        kept = masking.keeps(stream[at:cut])
        assert kept == (fault_at is None or cut < fault_at)
        if not kept:
            break
        at = cut


# --- pings and farewells ------------------------------------------------------------------------------------


def test_a_ping_is_answered_by_a_pong() -> None:
    async def scenario() -> None:
        world = await ws_world(Sender())
        async with agent(world) as ws:
            await until(lambda: world.machine.of(StreamOpened))
            flow = world.machine.of(StreamOpened)[0].flow
            listening = asyncio.create_task(ws.receive())  # aiohttp answers pings as it reads
            world.order(Ping(flow))
            await until(lambda: world.machine.of(Pong))
            assert world.machine.of(Pong) == [Pong(flow)]
            listening.cancel()
        world.order(Ping(flow), Ping(Flow("a", (HOST, 1), 99)))
        await world.host.stop()

    in_loop(scenario)


def test_close_sends_first_what_was_sent_before_then_says_farewell(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world(Sender())
        async with agent(world) as ws:
            await until(lambda: world.machine.of(StreamOpened))
            flow = world.machine.of(StreamOpened)[0].flow
            world.order(Send(flow, b"last words"), Close(flow), Send(flow, b"too late"), Close(flow), Ping(flow))
            assert (await ws.receive(5)).data == "last words"
            assert (await ws.receive(5)).type is WSMsgType.CLOSE
            assert ws.close_code == GOING_AWAY
            await until(lambda: world.machine.of(StreamClosed))
            assert world.machine.of(StreamClosed) == [StreamClosed(flow, "closed by this side")]
            assert world.machine.unreachable == [Unreachable(flow, "connection is closed")]
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_one_that_is_gone_without_a_word_has_not_taken_its_leave(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world()
        peer = await raw(world)
        await peer.shake()
        peer.sock.close()
        await until(lambda: world.machine.of(StreamClosed))
        assert not world.machine.of(StreamClosed)[0].farewell
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_peer_that_says_no_farewell_is_cut_after_a_while(fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world(Sender(), LiveSettings(close_wait_s=0.1))
        peer = await raw(world)
        await peer.shake()
        flow = world.machine.of(StreamOpened)[0].flow
        world.order(Close(flow))
        assert await peer.closed() == GOING_AWAY
        await peer.say(frame(TEXT, b"I don't listen"))
        assert await peer.ended()
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed) == [StreamClosed(flow, "closed by this side")]
        assert not heard(world.machine)
        peer.sock.close()
        await world.host.stop()

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize(
    ("code", "reason", "farewell"),
    [(1000, "closed by peer", True), (1001, "closed by peer", True), (4000, "closed by peer (4000)", False)],
    ids=["done", "going away", "another"],
)
def test_a_farewell_is_answered_and_its_code_told(code: int, reason: str, farewell: bool) -> None:
    async def scenario() -> None:
        world = await ws_world()
        peer = await raw(world)
        await peer.shake()
        await peer.say(frame(CLOSE, code.to_bytes(2, "big") + b"had enough"))
        assert await peer.closed() == code
        assert await peer.ended()
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed)[0][1:] == (reason, farewell)
        peer.sock.close()
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize("what", ["messages", "pongs"])
def test_a_peer_that_reads_nothing_is_cut_off(what: str, fast: bool) -> None:
    async def scenario() -> None:
        world = await ws_world(Sender(), LiveSettings(write_buffer_bytes=100_000))
        async with agent(world) as other:
            peer = await raw(world)
            await peer.shake()
            flow = world.machine.of(StreamOpened)[-1].flow
            for _ in range(2_000):
                if world.machine.of(StreamClosed):
                    break
                if what == "messages":
                    world.order(Send(flow, bytes(65_000)))
                    await asyncio.sleep(0)
                else:
                    try:
                        await peer.say(frame(PING, bytes(125)) * 500)
                    except ConnectionError:
                        break
            await until(lambda: world.machine.of(StreamClosed))
            assert world.machine.of(StreamClosed) == [StreamClosed(flow, "peer reads too slowly")]
            peer.sock.close()
            world.order(Send(world.machine.of(StreamOpened)[0].flow, b"to the other"))
            assert (await other.receive(5)).data == "to the other"
        await world.host.stop()

    in_loop(scenario, fast=fast)
