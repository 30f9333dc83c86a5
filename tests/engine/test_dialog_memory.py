"""What an edge keeps of a standing call once its transactions have ended."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from tests.engine.harness import World

CALLS = 600
MOST_BYTES = 4096  # OpenSIPS keeps 4.5 KB


def establish(world: World, calls: int, ring_s: float) -> None:
    """So many calls, all at the same time."""
    for _ in range(calls):
        world.caller.invite(body="v=0\r\n" * 80)
    invites = [(node, wire) for node in world.nodes for wire in node.got("INVITE")]
    if ring_s:
        for node, wire in invites:
            node.replies(wire, 180, tag=node.tag_for(wire))
        world.advance(ring_s)
    for node, wire in invites:
        node.replies(wire, 200, tag=node.tag_for(wire))
    for wire in [wire for wire in world.caller.inbox if wire.status == 200]:
        world.caller.within("ACK", wire)
    forget(world)


def forget(world: World) -> None:
    """The world's own records are not the edge's memory."""
    world.sent.clear()
    world.notes.clear()
    for peer in (world.caller, *world.nodes):
        peer.inbox.clear()


@pytest.mark.parametrize("ring_s", [0.0, 3.0], ids=["answered at once", "rang before"])
def test_bytes_kept_for_each_dialog(ring_s: float) -> None:
    world = World()
    establish(world, 20, ring_s)  # caches and tables are there once
    world.advance(33)
    gc.collect()
    tracemalloc.start()
    try:
        establish(world, CALLS, ring_s)
        world.advance(33)  # timers L and M
        assert world.edge.open_transactions() == 0
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert world.edge.open_dialogs() == CALLS + 20
    assert kept / CALLS <= MOST_BYTES


def test_nothing_is_kept_of_calls_that_have_ended() -> None:
    world = World()

    def round_of_calls() -> None:
        for _ in range(200):
            # From and To as ever, for parsed ones are cached
            call = world.caller.invite(from_="<sip:1000@192.0.2.1>;tag=a")
            world.called().answer(200, tag="b")
            call.ack()
            call.bye()
            world.called().answer(200, method="BYE")
            forget(world)
        world.run_out()
        forget(world)
        gc.collect()

    round_of_calls()
    tracemalloc.start()
    try:
        round_of_calls()
        first = tracemalloc.get_traced_memory()[0]
        round_of_calls()
        second = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert second - first < 200 * 20
