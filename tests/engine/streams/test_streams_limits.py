"""How many connections there may be, from one address and in all, and what they cost."""

from __future__ import annotations

import pytest

from engine.boundary import NEVER
from engine.config import LimitsConfig
from engine.notes import ConnectionsRefused
from tests.engine.streams.streaming import connected, streaming


def test_a_thousand_connections_from_one_address_meet_its_bound() -> None:
    world = streaming(connections_per_address=600)
    peers = [connected(world, number=number) for number in range(1, 1001)]
    assert world.edge.open_connections() == 600
    assert world.closed == [peer.flow for peer in peers[600:]]


def test_another_address_has_room_of_its_own() -> None:
    world = streaming(connections_per_address=1)
    connected(world, number=1)
    connected(world, number=2)
    connected(world, number=3, host="198.51.100.21").request("OPTIONS")
    assert world.edge.open_connections() == 2


def test_refusals_are_counted_not_told_one_by_one() -> None:
    world = streaming(connections_per_address=1)
    for number in range(1, 1001):
        connected(world, number=number)
    world.advance(2.0)
    why = "more than 1 connections from one address"
    assert world.told(ConnectionsRefused) == [ConnectionsRefused("ws", why, 999)]
    connected(world, number=2000)
    world.advance(2.0)
    assert [note.count for note in world.told(ConnectionsRefused)] == [999, 1]


def test_a_connection_that_ended_gives_its_place_back() -> None:
    world = streaming(connections_per_address=1)
    connected(world, number=1).closes()
    second = connected(world, number=2)
    second.request("OPTIONS")
    assert second.statuses() == [200]
    world.run_out()  # idle
    third = connected(world, number=3)
    third.request("OPTIONS")
    assert third.statuses() == [200]


def test_the_bound_of_all_connections() -> None:
    world = streaming(limits=LimitsConfig(stream_connections=3))
    for number in range(1, 6):
        connected(world, number=number, host=f"198.51.100.{20 + number}")
    world.advance(1.0)
    assert world.edge.open_connections() == 3
    assert [note.count for note in world.told(ConnectionsRefused)] == [2]


def test_connections_that_the_edge_opened_are_not_counted_against_strangers() -> None:
    world = streaming(connections_per_address=1)
    world.peer("198.51.100.20", 5060, "stream", 100).opens(accepted=False)
    connected(world, "stream", 1).request("OPTIONS")
    assert world.closed == []


@pytest.mark.parametrize(("other", "refused"), [("2001:db8:0:1::ffff", True), ("2001:db8:0:2::1", False)])
def test_one_network_of_ipv6_counts_as_one_address(other: str, refused: bool) -> None:
    world = streaming(connections_per_address=1)
    connected(world, number=1, host="2001:db8:0:1::1")
    peer = connected(world, number=2, host=other)
    assert (world.closed == [peer.flow]) is refused


def test_nothing_is_left_of_connections_that_ended() -> None:
    world = streaming(connections_per_address=5000, nodes=())
    for number in range(1, 2001):
        connected(world, number=number).closes()
    assert world.edge.open_connections() == 0
    world.advance(31.0)
    assert world.edge.deadline() == NEVER
