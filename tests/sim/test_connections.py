"""TCP in the simulated network."""

from __future__ import annotations

import pytest

from engine.boundary import StreamOpened
from sim.faults import PathFault, ProcessFault
from sim.links import Link
from tests.sim.toys import LEFT, Echo, Pair


def pair(**more: object) -> Pair:
    return Pair(transport="tcp", **more)


def test_a_connection_takes_one_round_trip_before_data_flows() -> None:
    both = pair()
    both.say("hello")
    both.world.run(1.0)
    assert both.left.kinds == ["StreamOpened"]
    assert both.right.kinds == ["StreamOpened", "StreamData"]
    assert both.right.arrivals == [(pytest.approx(0.030), b"hello")]


def test_an_answer_comes_back_on_the_same_connection_and_the_next_send_reuses_it() -> None:
    both = pair(right=Echo)
    both.say("one")
    both.say("two", 0.5)
    both.world.run(1.0)
    assert both.left.kinds == ["StreamOpened", "StreamData", "StreamData"]
    assert both.left.arrivals[1] == (pytest.approx(0.520), b"two")


def test_data_is_complete_and_in_order_on_a_bad_link() -> None:
    both = pair(link=Link(latency_ms=10, jitter_ms=20, loss=0.3, reorder=0.5, duplicate=0.5))
    for index in range(50):
        both.say(str(index), index * 0.01)
    both.world.run(60.0)
    assert both.right.data == [str(index).encode() for index in range(50)]


def test_a_host_without_a_process_refuses() -> None:
    both = pair()
    both.world.schedule([ProcessFault(at_s=0.1, kind="kill", targets=("right",))])
    both.say("hello", 0.5)
    both.world.run(1.0)
    assert both.left.troubles == [(pytest.approx(0.520), "connection refused")]


def test_a_kill_resets_the_connections() -> None:
    both = pair()
    both.say("hello")
    both.world.schedule([ProcessFault(at_s=0.5, kind="kill", targets=("right",))])
    both.world.run(1.0)
    assert both.left.troubles == [(pytest.approx(0.510), "connection reset by peer")]


def test_a_close_is_told_to_both_sides_after_what_was_sent() -> None:
    both = pair()
    both.say("hello")
    both.say("goodbye", 0.5)
    both.order("close", at_s=0.5)
    both.world.run(1.0)
    assert both.right.kinds == ["StreamOpened", "StreamData", "StreamData", "StreamClosed"]
    assert both.left.kinds == ["StreamOpened", "StreamClosed"]


def test_after_a_reset_the_next_send_connects_anew() -> None:
    both = pair()
    both.say("one")
    both.world.schedule(
        [
            ProcessFault(at_s=0.2, kind="kill", targets=("right",)),
            ProcessFault(at_s=0.4, kind="start", targets=("right",)),
        ]
    )
    both.say("two", 0.5)
    both.world.run(1.0)
    assert both.left.kinds == ["StreamOpened", "StreamClosed", "StreamOpened"]
    assert both.right.data == [b"two"]


def test_a_partition_holds_data_up_until_it_heals() -> None:
    both = pair()
    both.say("one")
    both.world.schedule(
        [
            PathFault(at_s=0.2, kind="partition", places=("left",), others=("right",)),
            PathFault(at_s=5.0, kind="heal", places=("left",), others=("right",)),
        ]
    )
    both.say("two", 1.0)
    both.say("three", 2.0)
    both.world.run(6.0)
    assert both.right.arrivals[1:] == [(pytest.approx(5.010), b"two"), (pytest.approx(5.010), b"three")]


def test_a_connection_that_nobody_answers_is_given_up() -> None:
    both = pair()
    both.world.schedule([PathFault(at_s=0.0, kind="partition", places=("left",), others=("right",))])
    both.say("hello", 1.0)
    both.world.run(200.0)
    assert both.left.troubles == [(pytest.approx(128.0), "connection timed out")]


def test_a_connection_whose_segments_get_no_answer_is_closed_as_linux_does() -> None:
    both = pair()
    both.say("one")
    both.world.schedule([PathFault(at_s=0.5, kind="partition", places=("left",), others=("right",))])
    both.say("two", 1.0)
    both.say("three", 900.0)
    both.world.run(2000.0)
    assert both.left.troubles == [(pytest.approx(925.6), "connection timed out")]
    assert both.right.troubles == []  # it has nothing to send, and learns nothing


def test_a_partition_that_ends_in_time_leaves_the_connection_open() -> None:
    both = pair()
    both.say("one")
    for at_s in (0.5, 1000.0):
        places = {"places": ("left",), "others": ("right",)}
        both.world.schedule(
            [
                PathFault(at_s=at_s, kind="partition", **places),
                PathFault(at_s=at_s + 900.0, kind="heal", **places),
            ]
        )
        both.say("more", at_s + 1.0)
    both.world.run(3000.0)
    assert both.left.troubles == []
    assert both.right.data == [b"one", b"more", b"more"]


def test_both_ends_are_told_who_opened_the_connection() -> None:
    both = pair()
    both.say("hello")
    both.world.run(1.0)
    opened = [
        event.accepted for ear in (both.left, both.right) for _, event in ear.heard if type(event) is StreamOpened
    ]
    assert opened == [False, True]


# --- TLS and WebSocket --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "client_s", "server_s"),
    # One way takes 10 ms. In TCP and TLS the client stands first, in WebSocket the server, which sends the 101.
    [("tcp", 0.020, 0.030), ("tls", 0.040, 0.050), ("ws", 0.040, 0.030), ("wss", 0.060, 0.050)],
)
def test_setting_up_takes_the_round_trips_of_its_layers(transport: str, client_s: float, server_s: float) -> None:
    both = Pair(transport=transport)
    both.say("hello")
    both.world.run(1.0)
    assert both.left.heard[1][0] == pytest.approx(client_s)
    assert both.right.heard[0][0] == pytest.approx(server_s)
    assert both.right.arrivals == [(pytest.approx(client_s + 0.010), b"hello")]


@pytest.mark.parametrize("transport", ["tls", "ws", "wss"])
def test_a_hand_shake_waits_for_a_frozen_process(transport: str) -> None:
    both = Pair(transport=transport)
    both.world.schedule(
        [
            ProcessFault(at_s=0.0, kind="freeze", targets=("right",)),
            ProcessFault(at_s=5.0, kind="thaw", targets=("right",)),
        ]
    )
    both.say("hello", 0.5)
    both.world.run(4.9)
    assert both.left.kinds == []
    both.world.run(6.0)
    assert both.left.kinds == ["StreamOpened"]
    assert both.right.data == [b"hello"]


def test_a_process_that_dies_during_the_hand_shake_resets() -> None:
    both = Pair(transport="wss")
    both.world.schedule([ProcessFault(at_s=0.025, kind="kill", targets=("right",))])
    both.say("hello")
    both.world.run(1.0)
    assert both.left.troubles == [(pytest.approx(0.035), "connection reset by peer")]


def test_an_interface_that_does_not_listen_connects_and_takes_no_connection() -> None:
    both = Pair(transport="ws", listens=False)
    both.say("hello")
    both.world.run(1.0)
    assert both.right.data == [b"hello"]
    both.right.peer = LEFT
    both.say("unasked", place="right")
    both.world.run(2.0)
    assert both.right.troubles == [(pytest.approx(1.020), "connection refused")]


def test_a_ping_is_answered_without_the_peers_machine() -> None:
    both = Pair(transport="ws")
    both.say("hello")
    both.order("ping", at_s=0.5)
    both.world.run(1.0)
    assert both.left.heard[-1][0] == pytest.approx(0.520)
    assert both.left.kinds == ["StreamOpened", "Pong"]
    assert both.right.kinds == ["StreamOpened", "StreamData"]


def test_a_frozen_process_answers_no_ping_until_it_thaws() -> None:
    both = Pair(transport="ws")
    both.say("hello")
    both.world.schedule(
        [
            ProcessFault(at_s=0.3, kind="freeze", targets=("right",)),
            ProcessFault(at_s=5.0, kind="thaw", targets=("right",)),
        ]
    )
    both.order("ping", at_s=0.5)
    both.world.run(6.0)
    assert (both.left.heard[-1][0], both.left.kinds[-1]) == (pytest.approx(5.010), "Pong")


def test_a_ping_on_a_connection_that_is_gone_is_nothing() -> None:
    both = Pair(transport="ws")
    both.order("ping", at_s=0.1)
    both.world.run(1.0)
    assert both.left.kinds == []


def test_a_send_of_nothing_only_opens_a_connection() -> None:
    both = Pair(transport="ws")
    both.say("")
    both.say("", at_s=0.5)
    both.world.run(1.0)
    assert both.left.kinds == both.right.kinds == ["StreamOpened"]
    both.say("x")
    both.world.run(2.0)
    assert both.right.data == [b"x"]
