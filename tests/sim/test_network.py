"""The simulated network: datagrams, ICMP, names, partitions."""

from __future__ import annotations

import pytest

from engine.boundary import Datagram, Flow, Unreachable
from sim.faults import NetworkFault, PathFault, ProcessFault
from sim.links import Link
from sim.world import World
from tests.sim.toys import LEFT, RIGHT, Clock, Ear, Echo, Pair, interface


def test_a_datagram_arrives_with_its_senders_address() -> None:
    pair = Pair()
    pair.say("hello")
    pair.world.run(1.0)
    assert pair.right.heard == [(pytest.approx(0.010), Datagram(Flow("wire", LEFT), b"hello"))]


def test_an_echo_comes_back_after_both_ways() -> None:
    pair = Pair(Echo)
    pair.say("hello")
    pair.world.run(1.0)
    assert pair.left.arrivals == [(pytest.approx(0.020), b"hello")]


def test_a_killed_process_is_told_to_its_senders_by_icmp() -> None:
    pair = Pair()
    pair.world.schedule([ProcessFault(at_s=0.5, kind="kill", targets=("right",))])
    pair.say("hello", 1.0)
    pair.world.run(2.0)
    assert pair.left.troubles == [(pytest.approx(1.020), "port unreachable")]
    assert pair.fates() == ["unreachable"]


def test_a_port_that_nobody_bound_is_unreachable() -> None:
    pair = Pair(peer=(RIGHT[0], 6000))
    pair.say("hello")
    pair.world.run(1.0)
    assert pair.left.heard[-1] == (
        pytest.approx(0.020),
        Unreachable(Flow("wire", (RIGHT[0], 6000)), "port unreachable"),
    )


def test_an_address_that_nobody_has_is_unreachable() -> None:
    pair = Pair(peer=("10.9.9.9", 5060))
    pair.say("hello")
    pair.world.run(1.0)
    assert [reason for _, reason in pair.left.troubles] == ["no route to host"]


def test_icmp_does_not_pass_a_partition() -> None:
    pair = Pair()
    pair.world.schedule(
        [
            ProcessFault(at_s=0.1, kind="kill", targets=("right",)),
            PathFault(at_s=0.1, kind="partition", places=("right",), others=("left",), one_way=True),
        ]
    )
    pair.say("hello", 1.0)
    pair.world.run(2.0)
    assert pair.left.troubles == []


def test_a_name_resolves() -> None:
    pair = Pair(peer=("fs1.example", 5060))
    pair.world.network.addresses.name("fs1.example", RIGHT[0])
    pair.say("hello")
    pair.world.run(1.0)
    assert pair.right.data == [b"hello"]


def test_an_unknown_name_is_unreachable() -> None:
    pair = Pair(peer=("nowhere.example", 5060))
    pair.say("hello")
    pair.world.run(1.0)
    assert [reason for _, reason in pair.left.troubles] == ["unknown name nowhere.example"]


def test_a_one_way_partition_stops_one_way() -> None:
    pair = Pair(Echo)
    pair.world.schedule([PathFault(at_s=0.0, kind="partition", places=("right",), others=("left",), one_way=True)])
    pair.say("hello", 0.1)
    pair.world.run(1.0)
    assert pair.right.data == [b"hello"]
    assert pair.left.data == []
    assert pair.fates() == ["delivered", "partitioned"]


def test_healing_restores_what_was_set_up() -> None:
    pair = Pair(link=Link(latency_ms=5))
    places = {"places": ("left",), "others": ("right",)}
    pair.world.schedule(
        [
            PathFault(at_s=0.0, kind="partition", **places),
            PathFault(at_s=0.0, kind="loss", share=1.0, **places),
            PathFault(at_s=1.0, kind="heal", **places),
        ]
    )
    pair.say("one", 0.5)
    pair.say("two", 1.5)
    pair.world.run(2.0)
    assert pair.right.arrivals == [(pytest.approx(1.505), b"two")]


def test_a_loss_fault_comes_on_top_of_the_links_own() -> None:
    pair = Pair(link=Link(loss=0.5))
    pair.world.apply(PathFault(at_s=0.0, kind="loss", places=("left",), others=("right",), share=0.5))
    assert pair.world.network.direction("left", "right").link.loss == pytest.approx(0.75)
    assert pair.world.network.direction("right", "left").link.loss == pytest.approx(0.75)


def test_an_advertised_address_reaches_the_interface_that_advertises_it() -> None:
    world = World()
    ear = Ear()
    world.add("edge", lambda _: ear, [interface(("0.0.0.0", 5060), advertised_host="192.0.2.1")])
    echo = Ear(("192.0.2.1", 5060))
    world.add("peer", lambda _: echo, [interface(LEFT)])
    world.network.later(
        0.0, world.network.send, world.network.addresses.port("udp", LEFT), Flow("wire", echo.peer), b"x"
    )
    world.run(1.0)
    assert ear.data == [b"x"]


@pytest.mark.parametrize(
    ("other", "remedy"),
    [
        (interface(LEFT), "udp 127.0.0.1:5060 is taken by interface wire of one - change"),
        (interface(("0.0.0.0", 5060)), "advertise the one"),
        (interface(("127.0.0.9", 0)), "give the port"),
        (interface(("fs.example", 5060)), "is not an IP address"),
    ],
)
def test_an_address_that_cannot_be_bound_is_told_with_its_remedy(other: object, remedy: str) -> None:
    world = World()
    world.add("one", lambda _: Ear(), [interface(LEFT)])
    with pytest.raises(ValueError, match=remedy):
        world.add("two", lambda _: Ear(), [other])


# --- hosts that move or sleep -------------------------------------------------------------------------------


def move(pair: Pair, at_s: float, host: str) -> None:
    pair.world.schedule([NetworkFault(at_s=at_s, kind="change_network", targets=("right",), host=host)])


def test_a_host_that_moved_is_heard_from_its_new_address_and_not_reached_at_the_old_one() -> None:
    pair = Pair()
    pair.say("before")
    move(pair, 1.0, "127.0.0.9")
    pair.say("to nobody", 2.0)
    pair.world.run(3.0)
    pair.right.peer = LEFT
    pair.say("here I am", place="right")
    pair.left.peer = ("127.0.0.9", RIGHT[1])
    pair.say("there you are")
    pair.world.run(4.0)
    assert pair.right.data == [b"before", b"there you are"]
    assert pair.left.heard[-1][1] == Datagram(Flow("wire", ("127.0.0.9", RIGHT[1])), b"here I am")
    assert pair.left.troubles == []  # what was sent in between just vanished
    assert pair.fates() == ["delivered", "lost", "delivered", "delivered"]


def test_a_host_that_moved_loses_its_connections_and_only_it_is_told() -> None:
    pair = Pair(transport="tcp")
    pair.say("before")
    move(pair, 1.0, "127.0.0.9")
    pair.say("to nobody", 2.0)
    pair.world.run(3.0)
    assert pair.right.troubles == [(1.0, "network changed")]
    assert pair.left.troubles == []
    pair.world.run(1000.0)
    assert [reason for _, reason in pair.left.troubles] == ["connection timed out"]


def sleep(pair: Pair, from_s: float, to_s: float) -> None:
    pair.world.schedule(
        [
            NetworkFault(at_s=from_s, kind="sleep", targets=("right",)),
            NetworkFault(at_s=to_s, kind="wake", targets=("right",)),
        ]
    )


def test_what_is_sent_to_a_sleeping_host_is_lost_and_it_does_nothing_by_itself() -> None:
    pair = Pair(lambda: Clock(2.0))
    sleep(pair, 1.0, 5.0)
    pair.say("psst", 3.0)
    pair.say("good morning", 6.0)
    pair.world.run(10.0)
    assert pair.right.data == [b"good morning"]
    assert isinstance(pair.right, Clock)
    assert pair.right.woken == [5.0]


def test_a_partition_outlasts_the_sleep_of_a_host() -> None:
    pair = Pair()
    pair.world.schedule([PathFault(at_s=2.0, kind="partition", places=("left",), others=("right",))])
    sleep(pair, 1.0, 5.0)
    pair.say("still cut", 6.0)
    pair.world.run(10.0)
    assert pair.fates() == ["partitioned"]
