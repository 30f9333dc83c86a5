"""TCP and WebSocket connections through NATs and balancers."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from engine.boundary import AgentOrder, StreamData
from sim.balancer import BALANCERS, Balancer, BalancerSettings
from sim.connections import GIVE_UP_S
from sim.faults import ProcessFault
from sim.links import Link
from sim.middleboxes import TargetHealth
from sim.nat import Nat, NatSettings
from sim.world import World
from tests.sim.toys import Ear, Echo, interface

PHONE = ("10.0.0.1", 5060)
SERVICE = ("203.0.113.50", 443)
EDGES = {"edge1": ("198.51.100.1", 443), "edge2": ("198.51.100.2", 443)}
NAT = NatSettings(filtering="address_and_port_dependent", tcp_established_s=600.0, tcp_transitory_s=60.0)


class Office:
    """Phones behind a NAT, two edges, and a balancer before them where settings for one are given."""

    def __init__(
        self,
        nat: NatSettings | None = NAT,
        balancer: BalancerSettings | None = None,
        *,
        transport: str = "ws",
        edge: type[Ear] = Ear,
        phones: int = 1,
    ) -> None:
        self.world = World(0, record="all", links=lambda *_: Link(latency_ms=10))
        boxes = self.world.network.middleboxes
        self.ears: dict[str, list[Ear]] = {}  # each start of a process makes one
        for number in range(phones):
            peer = SERVICE if balancer else EDGES["edge1"]
            address = (f"10.0.0.{number + 1}", PHONE[1])
            self._add(
                f"phone{number}", lambda peer=peer: Ear(peer), address, transport, listens=transport == "udp"
            )
        for place, address in EDGES.items():
            self._add(place, edge, address, transport)
        if nat is not None:
            box = boxes.add_nat("office", Nat(nat, ["203.0.113.1"], Random(1)))
            for number in range(phones):
                boxes.put_behind(f"10.0.0.{number + 1}", box)
        if balancer is not None:
            protocol = "udp" if transport == "udp" else "tcp"
            self.balancer = Balancer(balancer, protocol, SERVICE, tuple(EDGES.values()))
            boxes.add_balancer("slb", transport, self.balancer)

    def _add(
        self, place: str, make: object, address: tuple[str, int], transport: str, listens: bool = True
    ) -> None:
        def factory(_: object) -> Ear:
            self.ears.setdefault(place, []).append(make())
            return self.ears[place][-1]

        self.world.add(place, factory, [interface(address, transport, listens=listens)])

    @property
    def phone(self) -> Ear:
        return self.ears["phone0"][-1]

    def edge(self, place: str = "edge1") -> Ear:
        return self.ears[place][-1]

    def say(self, text: str, at_s: float = 0.0, place: str = "phone0") -> None:
        self.order("send", text, at_s, place)

    def order(self, order: str, argument: str = "", at_s: float = 0.0, place: str = "phone0") -> None:
        self.world.network.later(at_s, self.world.deliver, place, AgentOrder(order, argument))

    def say_to_phone(self, text: str, at_s: float, place: str = "edge1") -> None:
        """From the edge, on the connection that the phone made."""

        def speak() -> None:
            ear = self.ears[place][-1]
            ear.peer = next(event.flow.peer for _, event in ear.heard if type(event).__name__ == "StreamOpened")
            self.world.deliver(place, AgentOrder("send", text))

        self.world.network.later(at_s, speak)

    def served_by(self) -> list[str]:
        return [place for place in EDGES for ear in self.ears.get(place, ()) if ear.data]


# --- NAT ----------------------------------------------------------------------------------------------------


def test_a_connection_through_a_nat_carries_data_both_ways() -> None:
    office = Office(edge=Echo)
    office.say("hello")
    office.world.run(1.0)
    assert office.phone.data == [b"hello"]
    assert office.edge().heard[0][1].flow.peer[0] == "203.0.113.1"
    there, back = office.world.trace.messages
    assert there.source[0] == "10.0.0.1"
    assert there.seen == (back.destination, EDGES["edge1"])
    assert back.seen == (EDGES["edge1"], there.source)


def test_an_idle_connection_that_the_nat_forgot_dies_without_a_word() -> None:
    """Neither end learns anything until it speaks, and then only when its kernel gives up."""
    office = Office()
    office.say("hello")
    office.say_to_phone("are you there?", 700.0)
    office.world.run(5000.0)
    assert office.phone.data == []
    assert office.phone.troubles == []
    assert office.edge().troubles == [(pytest.approx(700.0 + GIVE_UP_S), "connection timed out")]


def test_a_nat_that_resets_tells_the_phone_when_it_speaks() -> None:
    office = Office(replace(NAT, tcp_unknown="reset"))
    office.say("hello")
    office.say("again", 700.0)
    office.world.run(800.0)
    assert office.phone.troubles == [(pytest.approx(700.0), "connection reset by peer")]
    assert office.edge().data == [b"hello"]


def test_a_nat_that_adopts_lets_the_phone_go_on_and_the_edges_retransmissions_in() -> None:
    office = Office(replace(NAT, tcp_unknown="adopt"))
    office.say("hello")
    office.say_to_phone("are you there?", 700.0)
    office.say("yes", 720.0)
    office.world.run(1000.0)
    assert office.edge().data == [b"hello", b"yes"]
    [(at_s, data)] = office.phone.arrivals
    assert data == b"are you there?"
    assert 720.0 < at_s < 760.0  # at the edge's next retransmission


def test_pings_keep_the_connection_in_the_nat() -> None:
    office = Office(edge=Echo)
    office.say("hello")
    for at_s in (500.0, 1000.0, 1500.0):
        office.order("ping", at_s=at_s)
    office.say("again", 2000.0)
    office.world.run(2100.0)
    assert office.phone.kinds == ["StreamOpened", "StreamData", "Pong", "Pong", "Pong", "StreamData"]


def test_a_ping_to_a_connection_that_the_nat_forgot_is_never_answered() -> None:
    office = Office()
    office.say("hello")
    office.order("ping", at_s=700.0)
    office.world.run(800.0)
    assert "Pong" not in office.phone.kinds


def test_the_phone_of_a_dead_edge_is_told_by_a_reset_through_the_nat() -> None:
    office = Office()
    office.say("hello")
    office.world.schedule([ProcessFault(at_s=5.0, kind="kill", targets=("edge1",))])
    office.world.run(6.0)
    assert office.phone.troubles == [(pytest.approx(5.010), "connection reset by peer")]


def test_a_restarted_edge_resets_what_it_does_not_know() -> None:
    """The reset of the dying process met a NAT that had forgotten; the phone's next word meets the new one."""
    office = Office(replace(NAT, tcp_unknown="adopt"))
    office.say("hello")
    office.world.schedule(
        [
            ProcessFault(at_s=700.0, kind="kill", targets=("edge1",)),
            ProcessFault(at_s=701.0, kind="start", targets=("edge1",)),
        ]
    )
    office.say("still here", 710.0)
    office.world.run(720.0)
    assert office.phone.troubles == [(pytest.approx(710.020), "connection reset by peer")]


def test_a_nat_without_ports_lets_the_attempt_time_out() -> None:
    office = Office(replace(NAT, preserve_port=False, first_port=2000, last_port=2001, parity=False), phones=3)
    for number in range(3):
        office.say("hello", place=f"phone{number}")
    office.world.run(200.0)
    assert office.edge().kinds.count("StreamOpened") == 2
    troubles = [trouble for number in range(3) for trouble in office.ears[f"phone{number}"][0].troubles]
    assert troubles == [(pytest.approx(127.0), "connection timed out")]


@pytest.mark.parametrize("silently", [False, True])
def test_a_cut(silently: bool) -> None:
    office = Office()
    office.say("hello")
    office.world.network.later(5.0, lambda: office.world.network.cut("phone0", "edge1", silently=silently))
    office.world.run(10.0)
    told = [ear.troubles for ear in (office.phone, office.edge())]
    assert told == ([[], []] if silently else [[(pytest.approx(5.0), "connection reset by peer")]] * 2)
    office.say("after")
    office.world.run(30.0)
    assert office.edge().data == ([b"hello"] if silently else [b"hello", b"after"])


# --- balancers ----------------------------------------------------------------------------------------------

PLAIN = BalancerSettings(tcp_idle_s=300.0, check_interval_s=5.0)


def test_a_client_of_the_balancer_gets_an_edge_and_thinks_it_talks_to_the_balancer() -> None:
    office = Office(balancer=PLAIN, edge=Echo)
    office.say("hello")
    office.world.run(1.0)
    assert office.phone.data == [b"hello"]
    assert len(office.served_by()) == 1
    assert {event.flow.peer for _, event in office.phone.heard if type(event) is StreamData} == {SERVICE}


@pytest.mark.parametrize(("keeps", "host"), [(True, "203.0.113.1"), (False, SERVICE[0])])
def test_the_edge_sees_the_client_or_the_balancer(keeps: bool, host: str) -> None:
    office = Office(balancer=replace(PLAIN, keeps_source=keeps), edge=Echo)
    office.say("hello")
    office.world.run(1.0)
    [place] = office.served_by()
    assert office.edge(place).heard[0][1].flow.peer[0] == host
    assert office.phone.data == [b"hello"]


def test_an_idle_connection_is_closed_on_both_sides_by_a_proxy() -> None:
    office = Office(balancer=BALANCERS["nginx"].settings)
    office.say("hello")
    office.order("ping", at_s=50.0)
    office.world.run(300.0)
    [place] = office.served_by()
    closed = [(pytest.approx(110.04, abs=0.1), "closed by peer")]
    assert office.phone.troubles == closed
    assert office.edge(place).troubles == closed


@pytest.mark.parametrize("who", ["phone", "edge"])
def test_an_idle_connection_is_reset_when_either_speaks(who: str) -> None:
    office = Office(balancer=BALANCERS["aws_nlb"].settings)
    office.say("hello")
    office.world.run(1.0)
    [place] = office.served_by()
    if who == "phone":
        office.say("again", 400.0)
    else:
        office.say_to_phone("are you there?", 400.0, place)
    office.world.run(500.0)
    speaker, other = (office.phone, office.edge(place)) if who == "phone" else (office.edge(place), office.phone)
    assert speaker.troubles == [(pytest.approx(401.0), "connection reset by peer")]
    assert other.troubles == []


def test_traffic_keeps_it_open() -> None:
    office = Office(balancer=replace(PLAIN, on_idle="close", tcp_idle_s=60.0))
    for at_s in range(0, 600, 50):
        office.say("x", float(at_s))
    office.world.run(610.0)
    assert office.phone.troubles == []
    assert office.phone.kinds == ["StreamOpened"]


def test_new_connections_avoid_an_edge_that_failed_its_checks() -> None:
    office = Office(nat=None, balancer=replace(PLAIN, choice="round_robin"), edge=Echo, phones=8)
    office.world.schedule([ProcessFault(at_s=1.0, kind="kill", targets=("edge1",))])
    for number in range(4):  # the checks of seconds 5, 10 and 15 fail
        office.say("early", 2.0, place=f"phone{number}")
    for number in range(4, 8):
        office.say("late", 16.0, place=f"phone{number}")
    office.world.run(20.0)
    refused = [bool(office.ears[f"phone{number}"][0].troubles) for number in range(8)]
    assert refused == [True, False] * 2 + [False] * 4
    notes = [(note.time_s, note.note) for note in office.world.trace.notes if isinstance(note.note, TargetHealth)]
    assert notes == [(15.0, TargetHealth("edge1", False))]


def test_an_edge_that_returns_is_used_again() -> None:
    office = Office(nat=None, balancer=PLAIN)
    office.world.schedule(
        [
            ProcessFault(at_s=1.0, kind="kill", targets=("edge1",)),
            ProcessFault(at_s=31.0, kind="start", targets=("edge1",)),
        ]
    )
    office.world.run(100.0)
    told = [note.note.healthy for note in office.world.trace.notes if isinstance(note.note, TargetHealth)]
    assert told == [False, True]
    assert office.balancer.healthy == tuple(EDGES.values())


def test_a_frozen_edge_passes_the_check_of_its_port() -> None:
    office = Office(nat=None, balancer=PLAIN)
    office.world.schedule([ProcessFault(at_s=1.0, kind="freeze", targets=("edge1",))])
    office.world.run(100.0)
    assert office.balancer.healthy == tuple(EDGES.values())


@pytest.mark.parametrize("fails_open", [True, False])
def test_without_a_healthy_edge(fails_open: bool) -> None:
    office = Office(nat=None, balancer=replace(PLAIN, fails_open=fails_open))
    both = tuple(EDGES)
    office.world.schedule(
        [ProcessFault(at_s=1.0, kind="kill", targets=both), ProcessFault(at_s=16.0, kind="start", targets=both)]
    )
    office.say("hello", 17.0)  # they are back, but no check has seen it
    office.world.run(18.0)
    assert bool(office.served_by()) == fails_open
    assert [reason for _, reason in office.phone.troubles] == ([] if fails_open else ["connection refused"])


def test_udp_goes_through_a_balancer_there_and_back() -> None:
    office = Office(balancer=PLAIN, transport="udp", edge=Echo)
    office.say("hello")
    office.world.run(1.0)
    [place] = office.served_by()
    assert office.phone.heard[-1][1].flow.peer == SERVICE
    there, back = office.world.trace.messages
    assert there.seen == (("203.0.113.1", 5060), EDGES[place])
    assert back.seen == (SERVICE, PHONE)


def test_an_edge_that_speaks_after_the_balancer_forgot_is_a_stranger_to_the_nat() -> None:
    office = Office(replace(NAT, unreplied_s=600.0), balancer=replace(PLAIN, udp_idle_s=60.0), transport="udp")
    office.say("hello")
    office.world.run(1.0)
    [place] = office.served_by()
    office.edge(place).peer = ("203.0.113.1", 5060)
    office.say("in time", 50.0, place=place)
    office.say("too late", 120.0, place=place)
    office.world.run(130.0)
    assert office.phone.data == [b"in time"]


@pytest.mark.parametrize("moves", [True, False])
def test_a_udp_flow_of_a_dead_edge_moves_where_the_balancer_moves_it(moves: bool) -> None:
    office = Office(balancer=replace(PLAIN, moves=moves, udp_idle_s=600.0), transport="udp")
    office.say("hello")
    office.world.run(1.0)
    [place] = office.served_by()
    office.world.schedule([ProcessFault(at_s=1.0, kind="kill", targets=(place,))])
    office.say("again", 60.0)
    office.world.run(70.0)
    assert (len(office.served_by()) == 2) == moves
