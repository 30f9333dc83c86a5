"""TCP in the simulated network."""

from __future__ import annotations

import pytest

from sim.faults import PathFault, ProcessFault
from sim.links import Link
from tests.sim.toys import Echo, Pair


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
