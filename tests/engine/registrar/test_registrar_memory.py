"""An idle registration costs little: what stays is one binding, and nothing of the messages that made it."""

from __future__ import annotations

import functools
import gc
import tracemalloc
from typing import Any

import pytest

from engine.config import StreamsConfig
from engine.proxy.branch import Branch
from engine.proxy.context import ResponseContext
from engine.sip import headers, layout, uri
from tests.engine.harness import World
from tests.engine.registrar.registering import INSTANCE, asked, asks, edge, phone, registers

REGISTRATIONS = 1000
MOST_BYTES = 1500
REMEMBERED: tuple[dict[Any, Any], ...] = (
    headers._addrs,
    headers._cseqs,
    headers._sent,
    layout._layouts,
    uri._lately,
)


def register_all(world: World, interface: str, numbers: range) -> None:
    for number in numbers:
        stream = 0 if interface == "outside" else number
        peer = world.peer("203.0.113.80", 20_000 + number, interface, stream)
        contact = f"<sip:x7k2m{number}@192.168.1.20:5060;transport=ws>;{INSTANCE};reg-id=1"
        registers(peer, contact, user=f"agent{number}", granted_s=100_000, expires=3600)
        asked(world).inbox.clear()
        world.sent.clear()
        world.notes.clear()
        del world._peers[interface, peer.flow.peer, stream]
    world.advance(60)  # the transactions end


def empty_caches() -> None:
    """What was parsed is remembered within bounds, whatever registers."""
    for table in REMEMBERED:
        table.clear()
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper):
            each.cache_clear()


@pytest.mark.parametrize("interface", ["outside", "wss"])
def test_bytes_kept_for_each_registration(interface: str) -> None:
    """Beyond the connection itself."""
    streams = StreamsConfig(ping_interval_s=0, idle_s=10_000, connections_per_address=10_000)
    world = edge(nodes=("FS1",), streams=streams)
    numbers = range(100, 100 + REGISTRATIONS)
    register_all(world, "outside", range(100))
    if interface == "wss":
        for number in numbers:
            world.peer("203.0.113.80", 20_000 + number, interface, number).opens()
    gc.collect()
    tracemalloc.start()
    try:
        register_all(world, interface, numbers)
        empty_caches()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert world.edge.open_bindings() == REGISTRATIONS + 100
    assert world.edge.open_transactions() == 0
    assert kept / REGISTRATIONS <= MOST_BYTES, f"{kept / REGISTRATIONS:.0f} bytes"


@pytest.mark.parametrize("answered", ["by the node", "here", "refused"])
def test_of_an_answered_register_only_what_knows_its_repetitions_is_kept(answered: str) -> None:
    """For 32 s, which is thousands of them at a thousand a second."""
    world = edge()
    expires = {"by the node": 600, "here": 60, "refused": 1}[answered]
    for number in range(50):
        peer = phone(world, 20_000 + number)
        if answered == "refused":
            asks(peer, expires=expires)
            continue
        registers(peer, user=f"agent{number}", granted_s=3600, expires=expires)
        if answered == "here":
            asks(peer, user=f"agent{number}", expires=expires, cseq=2)
    relayed = sum(len(node.got("REGISTER")) for node in world.nodes)
    assert relayed == (0 if answered == "refused" else 50)
    world.advance(6.0)  # timer K
    assert world.edge.open_transactions() >= 50
    gc.collect()  # of other tests
    assert [each for each in gc.get_objects() if isinstance(each, (ResponseContext, Branch))] == []
