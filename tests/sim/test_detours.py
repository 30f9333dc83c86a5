"""Datagrams through NATs."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from engine.boundary import AgentOrder, Datagram, Flow
from sim.faults import PathFault, ProcessFault
from sim.links import Link
from sim.middleboxes import NatBox
from sim.nat import Nat, NatSettings
from sim.world import World
from tests.sim.toys import Ear, Echo, interface

PHONE = ("10.0.0.1", 5060)
OTHER_PHONE = ("10.0.0.2", 5060)
EDGE = ("198.51.100.1", 5060)
STRANGER = ("198.51.100.2", 5060)
OUTSIDE = ("203.0.113.1", 5060)  # where the phone's packets come from: its port is preserved
PORT_RESTRICTED = NatSettings(filtering="address_and_port_dependent", unreplied_s=30.0, replied_s=60.0)


class Home:
    """A phone and another behind a NAT; an edge and a stranger in public. 10 ms one way."""

    def __init__(
        self, settings: NatSettings = PORT_RESTRICTED, *, edge: type[Ear] = Ear, carrier: NatSettings | None = None
    ) -> None:
        self.world = World(0, record="all", links=lambda *_: Link(latency_ms=10))
        self.ears: dict[str, Ear] = {}
        for place, address, peer, kind in (
            ("phone", PHONE, EDGE, Ear),
            ("other", OTHER_PHONE, EDGE, Ear),
            ("edge", EDGE, OUTSIDE, edge),
            ("stranger", STRANGER, OUTSIDE, Ear),
        ):
            ear = self.ears[place] = kind(peer)
            self.world.add(place, lambda _, ear=ear: ear, [interface(address)])
        boxes = self.world.network.middleboxes
        outer: NatBox | None = None
        home = ["203.0.113.1"]
        if carrier is not None:
            outer = boxes.add_nat("carrier", Nat(carrier, home, Random(2)))
            home = ["100.64.0.1"]
        self.nat = Nat(settings, home, Random(1))
        box = boxes.add_nat("home", self.nat, outer)
        for host in (PHONE[0], OTHER_PHONE[0]):
            boxes.put_behind(host, box)

    def say(self, text: str, at_s: float = 0.0, place: str = "phone") -> None:
        self.world.network.later(at_s, self.world.deliver, place, AgentOrder("send", text))

    def fates(self) -> list[str]:
        return [record.fate for record in self.world.trace.messages]


def test_the_edge_sees_the_outside_address_and_its_answer_comes_back() -> None:
    home = Home(edge=Echo)
    home.say("hello")
    home.world.run(1.0)
    assert home.ears["edge"].heard == [(pytest.approx(0.010), Datagram(Flow("wire", OUTSIDE), b"hello"))]
    assert home.ears["phone"].heard[1:] == [(pytest.approx(0.020), Datagram(Flow("wire", EDGE), b"hello"))]


def test_the_trace_shows_both_sides() -> None:
    home = Home(edge=Echo)
    home.say("hello")
    home.world.run(1.0)
    told = [(it.from_place, it.to_place, it.source, it.destination, it.seen) for it in home.world.trace.messages]
    assert told == [
        ("phone", "edge", PHONE, EDGE, (OUTSIDE, EDGE)),
        ("edge", "phone", EDGE, OUTSIDE, (EDGE, PHONE)),
    ]


def test_nothing_comes_in_unasked() -> None:
    home = Home()
    home.say("anybody there?", place="edge")
    home.say("hello", 1.0)
    home.say("me too", 2.0, place="stranger")
    home.world.run(3.0)
    assert home.ears["phone"].data == []
    assert home.fates() == ["filtered", "delivered", "filtered"]
    assert home.ears["edge"].troubles == []  # and nobody is told


def test_a_nat_that_refuses_tells_the_sender() -> None:
    home = Home(replace(PORT_RESTRICTED, unsolicited="refuse"))
    home.say("anybody there?", place="edge")
    home.world.run(1.0)
    assert home.ears["edge"].troubles == [(pytest.approx(0.020), "port unreachable")]


def test_silence_makes_the_phone_unreachable_and_its_next_word_reachable_again() -> None:
    home = Home()
    home.say("hello")
    home.say("in time", 29.0, place="edge")
    home.say("too late", 90.0, place="edge")
    home.say("here again", 100.0)
    home.say("welcome", 101.0, place="edge")
    home.world.run(120.0)
    assert home.ears["phone"].data == [b"in time", b"welcome"]


def test_a_packet_lost_outside_keeps_a_mapping_only_in_the_direction_in_which_it_passed() -> None:
    """The NAT is beside the phone: what is lost on the way in has not reached it."""

    def reachable(lost: str) -> bool:
        home = Home()
        home.say("hello")
        home.world.schedule(
            [
                PathFault(at_s=20.0, kind="partition", places=("phone",), others=("edge",)),
                PathFault(at_s=25.0, kind="heal", places=("phone",), others=("edge",)),
            ]
        )
        home.say("keep-alive", 22.0, place=lost)
        home.say("still there?", 40.0, place="edge")
        home.world.run(50.0)
        return home.ears["phone"].data[-1:] == [b"still there?"]

    assert reachable(lost="phone")
    assert not reachable(lost="edge")


def test_a_public_host_cannot_reach_a_private_address_nor_the_phone_itself_by_it() -> None:
    home = Home()
    home.ears["edge"].peer = PHONE
    home.say("hello", place="edge")
    home.world.run(1.0)
    assert [reason for _, reason in home.ears["edge"].troubles] == ["no route to host"]


def test_neighbours_talk_without_the_nat() -> None:
    home = Home()
    home.ears["phone"].peer = OTHER_PHONE
    home.say("hello")
    home.world.run(1.0)
    assert home.ears["other"].heard[0][1].flow.peer == PHONE
    assert home.nat.sessions(1.0) == 0


@pytest.mark.parametrize("hairpinning", [True, False])
def test_neighbours_reach_each_others_outside_address_where_the_nat_hairpins(hairpinning: bool) -> None:
    home = Home(NatSettings(hairpinning=hairpinning))
    home.say("hello", place="phone")
    home.ears["other"].peer = OUTSIDE
    home.say("neighbour", 1.0, place="other")
    home.world.run(2.0)
    assert (home.ears["phone"].data == [b"neighbour"]) == hairpinning


def test_an_icmp_error_comes_back_through_the_nat() -> None:
    home = Home()
    home.world.schedule([ProcessFault(at_s=0.5, kind="kill", targets=("edge",))])
    home.say("hello", 1.0)
    home.world.run(2.0)
    assert home.ears["phone"].troubles == [(pytest.approx(1.020), "port unreachable")]


def test_an_icmp_error_from_behind_the_nat_reaches_the_edge() -> None:
    home = Home()
    home.say("hello")
    home.world.schedule([ProcessFault(at_s=0.5, kind="kill", targets=("phone",))])
    home.say("still there?", 1.0, place="edge")
    home.world.run(2.0)
    assert home.ears["edge"].troubles == [(pytest.approx(1.020), "port unreachable")]


def test_a_reboot_loses_what_the_nat_knew() -> None:
    home = Home()
    home.say("hello")
    home.world.network.later(5.0, home.world.network.middleboxes.reboot, "home")
    home.say("still there?", 6.0, place="edge")
    home.world.run(7.0)
    assert home.ears["phone"].data == []


def test_two_nats_in_a_row() -> None:
    home = Home(edge=Echo, carrier=PORT_RESTRICTED)
    home.say("hello")
    home.say("and you", 1.0, place="other")
    home.world.run(2.0)
    assert home.ears["phone"].data == [b"hello"]
    assert home.ears["other"].data == [b"and you"]
    seen = {event.flow.peer for _, event in home.ears["edge"].heard}
    assert {host for host, _ in seen} == {"203.0.113.1"}
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("inner_s", "outer_s", "alive"), [(30.0, 300.0, False), (300.0, 30.0, False), (300.0, 300.0, True)]
)
def test_the_shorter_of_two_time_outs_counts(inner_s: float, outer_s: float, alive: bool) -> None:
    home = Home(
        replace(PORT_RESTRICTED, unreplied_s=inner_s), carrier=replace(PORT_RESTRICTED, unreplied_s=outer_s)
    )
    home.say("hello")
    home.say("still there?", 60.0, place="edge")
    home.world.run(61.0)
    assert (home.ears["phone"].data == [b"still there?"]) == alive


def test_the_same_world_gives_the_same_trace() -> None:
    def play() -> str:
        settings: dict[str, Any] = {"preserve_port": False}
        home = Home(NatSettings(**settings), edge=Echo)
        for at_s in range(10):
            home.say("x", float(at_s), place="phone" if at_s % 2 else "other")
        home.world.run(20.0)
        return home.world.trace.hash

    assert play() == play()


def test_boxes_that_cannot_be_are_refused_with_a_remedy() -> None:
    home = Home()
    boxes = home.world.network.middleboxes
    with pytest.raises(ValueError, match="already a NAT called home"):
        boxes.add_nat("home", Nat(NatSettings(), ["203.0.113.9"], Random(0)))
    with pytest.raises(ValueError, match=r"198\.51\.100\.1 is taken by edge"):
        boxes.add_nat("office", Nat(NatSettings(), [EDGE[0]], Random(0)))
    with pytest.raises(KeyError):
        boxes.reboot("nobody")
