"""How long a connection lives: silence, slowness, pings (RFC 6455 §5.5.2), pauses of the machine itself."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from engine.boundary import Reconfigure
from engine.config import StreamsConfig
from engine.edge import EdgeSettings
from engine.notes import ConnectionClosed, ConnectionOpened
from engine.wheel import GRID_S
from tests.engine.harness import EDGE, Exchange, World
from tests.engine.streams.streaming import connected, reasons, streaming

STREAMS = ["stream", "tls", "ws", "wss"]
LATE_S = GRID_S  # by so much a deadline may be missed


def closed_at(world: World, until_s: float = 1000.0) -> float:
    """When the edge closes the next connection, in steps of 1/8 s."""
    before = len(world.closed)
    while world.now < until_s and len(world.closed) == before:
        world.advance(0.125)
    assert len(world.closed) > before, "no connection was closed"
    return world.now


@pytest.mark.parametrize("interface", STREAMS)
def test_a_silent_connection_is_closed_before_long(interface: str) -> None:
    world = streaming(first_message_s=10.0, ping_interval_s=0)
    peer = connected(world, interface)
    assert closed_at(world) == 10.0
    assert world.closed == [peer.flow]
    assert reasons(world) == ["no whole message within 10 s"]


@pytest.mark.parametrize("interface", STREAMS)
def test_an_idle_connection_is_closed(interface: str) -> None:
    world = streaming(idle_s=120.0, ping_interval_s=0)
    peer = connected(world, interface)
    world.advance(5.0)
    peer.request("OPTIONS")
    assert closed_at(world) == 125.0
    assert world.told(ConnectionClosed) == [
        ConnectionClosed(interface, "198.51.100.20:40001", 1, "idle for 120 s", 125.0)
    ]
    assert world.edge.open_connections() == 0


@pytest.mark.parametrize("interface", STREAMS)
def test_keep_alives_of_the_peer_keep_it_open(interface: str) -> None:
    world = streaming(idle_s=30.0, ping_interval_s=0)
    peer = connected(world, interface)
    for _ in range(10):
        peer.sends(b"\r\n\r\n")
        world.advance(29.0)
    assert world.closed == []
    assert [wire.data for wire in peer.inbox] == [b"\r\n"] * 10
    assert closed_at(world) == 9 * 29.0 + 30.0


def test_a_lone_crlf_counts_as_well() -> None:
    world = streaming(idle_s=30.0)
    peer = connected(world, "stream")
    for _ in range(10):
        peer.sends(b"\r\n")
        world.advance(29.0)
    assert world.closed == []


def test_a_message_that_never_ends_is_not_waited_for() -> None:
    world = streaming(first_message_s=10.0)
    peer = connected(world, "stream")
    for octet in Exchange(peer, "OPTIONS", f"sip:{EDGE}").data():
        if world.closed:
            break
        peer.sends(bytes([octet]))
        world.advance(1.0)
    assert world.now == pytest.approx(10.0, abs=1.0)
    assert reasons(world) == ["no whole message within 10 s"]


def test_nor_is_a_later_one_whatever_came_before() -> None:
    world = streaming(first_message_s=10.0)
    peer = connected(world, "stream")
    peer.request("OPTIONS")
    world.advance(50.0)
    data = Exchange(peer, "OPTIONS", f"sip:{EDGE}", body="x" * 20).data("OPTIONS")
    peer.sends(data[:-1])
    assert closed_at(world) == 60.0


def test_line_breaks_within_a_body_are_no_keep_alives() -> None:
    world = streaming(first_message_s=10.0)
    peer = connected(world, "stream")
    data = Exchange(peer, "MESSAGE", f"sip:1@{EDGE}", body="\r\n" * 50).data("MESSAGE")
    peer.sends(data[:-100])
    for _ in range(20):
        peer.sends(b"\r\n")
        world.advance(1.0)
    assert reasons(world) == ["no whole message within 10 s"]


def test_a_message_in_slow_pieces_arrives_in_time_and_the_idle_time_runs_anew() -> None:
    world = streaming(first_message_s=10.0, idle_s=40.0)
    peer = connected(world, "stream")
    data = Exchange(peer, "OPTIONS", f"sip:{EDGE}").data()
    for start in (0, 100):
        world.advance(4.0)
        peer.sends(data[start : start + 100])
    peer.sends(data[200:])
    assert peer.statuses() == [200]
    assert closed_at(world) == 48.0


def test_junk_does_not_count() -> None:
    world = streaming(first_message_s=10.0)
    peer = connected(world, "ws")
    for _ in range(12):
        peer.sends(b"junk")
        world.advance(1.0)
    assert reasons(world) == ["no whole message within 10 s"]


def test_a_connection_that_the_edge_opened_owes_no_first_message_but_is_closed_when_idle() -> None:
    world = streaming(idle_s=120.0)
    peer = world.peer("198.51.100.20", 40_001, "stream", 1)
    peer.opens(accepted=False)
    assert closed_at(world) == 120.0


def test_connections_that_live_above_every_expiry() -> None:
    world = streaming(lifetime="above_expiry", idle_s=120.0, margin_s=32.0, ping_interval_s=0)
    connected(world).request("OPTIONS")
    assert closed_at(world, 4000.0) == 3600.0 + 32.0


def test_opening_and_closing_are_told() -> None:
    world = streaming()
    peer = connected(world, "wss")
    world.advance(3.5)
    peer.closes("connection reset by peer")
    assert world.told(ConnectionOpened) == [ConnectionOpened("wss", "198.51.100.20:40001", 1, True)]
    assert world.told(ConnectionClosed) == [
        ConnectionClosed("wss", "198.51.100.20:40001", 1, "connection reset by peer", 3.5)
    ]


# --- pings


def test_websockets_are_pinged_and_stay_while_they_answer() -> None:
    world = streaming(ping_interval_s=25.0, idle_s=1000.0)
    peer = connected(world)
    peer.sends(b"\r\n\r\n")
    for _ in range(300):
        world.advance(1.0)
        if world.pinged and world.pinged[-1][0] > world.now - 1.0:
            peer.pongs()
    assert world.closed == []
    times = [at for at, _ in world.pinged]
    assert len(times) in (11, 12)
    assert {round(after - before) for before, after in itertools.pairwise(times)} == {25}


@pytest.mark.parametrize("interface", ["stream", "tls"])
def test_other_transports_have_no_pings(interface: str) -> None:
    world = streaming(idle_s=200.0)
    connected(world, interface).request("OPTIONS")
    world.advance(150.0)
    assert world.pinged == []


def test_an_unanswered_ping_ends_the_connection() -> None:
    world = streaming(ping_interval_s=25.0, ping_timeout_s=10.0, idle_s=1000.0)
    connected(world).request("OPTIONS")
    at = closed_at(world)
    assert at == pytest.approx(world.pinged[0][0] + 10.0, abs=0.125)
    assert len(world.pinged) == 1
    assert reasons(world) == ["ping unanswered for 10 s"]


def test_a_peer_that_talks_is_alive_whether_it_answers_pings_or_not() -> None:
    world = streaming(ping_interval_s=25.0, ping_timeout_s=10.0)
    peer = connected(world)
    for _ in range(60):
        peer.sends(b"\r\n\r\n")
        world.advance(5.0)
    assert world.closed == []


def test_pongs_are_no_traffic() -> None:
    world = streaming(ping_interval_s=5.0, idle_s=60.0)
    peer = connected(world)
    peer.sends(b"\r\n\r\n")
    while not world.closed:
        world.advance(1.0)
        peer.pongs()
    assert reasons(world) == ["idle for 60 s"]


def test_a_time_out_above_the_interval_brings_no_second_ping_before_the_first_is_answered() -> None:
    world = streaming(ping_interval_s=5.0, ping_timeout_s=30.0, idle_s=1000.0)
    connected(world).request("OPTIONS")
    at = closed_at(world)
    assert len(world.pinged) == 1
    assert at == pytest.approx(world.pinged[0][0] + 30.0, abs=0.125)


def test_thousands_that_connect_at_once_are_not_pinged_at_once() -> None:
    world = streaming(ping_interval_s=25.0, connections_per_address=2000)
    for number in range(1, 2001):
        connected(world, "ws", number).sends(b"\r\n\r\n")
    world.advance(25.0 + LATE_S)
    per_tick: dict[float, int] = {}
    for at, _ in world.pinged:
        per_tick[at] = per_tick.get(at, 0) + 1
    assert len({flow for _, flow in world.pinged}) == 2000
    assert max(per_tick.values()) <= 20  # 5 on average


# --- pauses, and new settings


def test_a_pause_of_the_machine_is_not_held_against_the_peers() -> None:
    """What they sent meanwhile waits in the kernel, behind the tick that is overdue."""
    world = streaming(ping_interval_s=25.0, ping_timeout_s=10.0)
    peer = connected(world)
    peer.request("OPTIONS")
    while not world.pinged:
        world.advance(0.125)
    world.now += 60.0  # SIGSTOP, SIGCONT
    world._do(world.edge.tick(world.now))
    world.advance(0.5)
    peer.pongs()
    world.advance(10.0)
    assert world.closed == []


def test_a_peer_that_is_gone_after_a_pause_is_noticed_none_the_less() -> None:
    world = streaming(ping_interval_s=25.0, ping_timeout_s=10.0)
    connected(world).request("OPTIONS")
    while not world.pinged:
        world.advance(0.125)
    world.now += 60.0
    world.advance(2.0)
    assert reasons(world) == ["ping unanswered for 10 s"]


def test_new_settings_hold_for_connections_that_stand() -> None:
    world = streaming(idle_s=1000.0, ping_interval_s=0)
    peer = connected(world)
    peer.request("OPTIONS")
    config = replace(world.config, streams=StreamsConfig(lifetime="fixed", idle_s=100.0, ping_interval_s=0))
    world.advance(5.0)
    world.happen(Reconfigure(EdgeSettings(config, world.policy)))
    assert closed_at(world) == 100.0


def test_pings_can_be_switched_on_and_off_for_connections_that_stand() -> None:
    world = streaming(idle_s=1000.0, ping_interval_s=0)
    peer = connected(world)
    peer.request("OPTIONS")
    world.advance(100.0)
    assert world.pinged == []
    for interval_s, expected in ((25.0, 4), (0, 0)):
        streams = StreamsConfig(lifetime="fixed", idle_s=1000.0, ping_interval_s=interval_s)
        world.happen(Reconfigure(EdgeSettings(replace(world.config, streams=streams), world.policy)))
        for second in range(130):
            world.advance(1.0)
            peer.pongs()
            if second == 29:
                before = len(world.pinged)
        assert len(world.pinged) - before == expected
    assert world.closed == []
