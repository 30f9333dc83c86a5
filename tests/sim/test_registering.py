"""Phones register through the edge at modelled FreeSWITCH nodes, and are called from there."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from engine.boundary import AgentOrder, Interface
from engine.config import EdgeConfig, NodeConfig, PolicyConfig, RegistrarConfig
from engine.edge import Edge, EdgeSettings
from engine.notes import ContactBound, ContactOrphaned, ContactRehomed, NodeStateChanged
from engine.policies import load_policy
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig, Registrations
from sim.agents.notes import BindingStored, CallTaken, Registered, RegistrationFailed
from sim.agents.softphone import Softphone
from tests.sim.agents.cast import phone_config
from tests.sim.agents.wires import Bench, udp

EDGE = "127.0.0.1"
AGENTS = udp("agents", EDGE)
INSIDE = udp("inside", "127.0.0.2")
SECRET = RegistrarConfig(secret="known to each life of the edge")


class Site:
    """One edge, two nodes, and phones; ``shared`` nodes have one table of registrations."""

    def __init__(self, registrar: RegistrarConfig = SECRET, *, shared: bool = True) -> None:
        self.bench = Bench(icmp=True)
        self.registrar = registrar
        self.lives = 0
        table = Registrations() if shared else None
        self.nodes = {name: self.node(name, place, table) for name, place in PLACES.items()}
        self.edge = self.start_edge()
        self.phones: dict[str, Softphone] = {}

    def start_edge(self) -> Edge:
        policy = PolicyConfig()
        nodes = tuple(NodeConfig(name=name, host=place.host, interface="inside") for name, place in PLACES.items())
        config = EdgeConfig(
            name="edge1", interfaces=(AGENTS, INSIDE), nodes=nodes, policy=policy, registrar=self.registrar
        )
        self.lives += 1
        self.edge = Edge(EdgeSettings(config, load_policy(policy)), Random(self.lives))
        self.bench.add(self.edge, AGENTS, INSIDE)
        return self.edge

    def node(self, name: str, place: Interface, table: Registrations | None) -> FreeSwitch:
        config = FreeSwitchConfig(name=name, interfaces=(place,), domain="lab.test", startup_s=0.0)
        node = FreeSwitch(config, Random(name), table)
        self.bench.add(node, place)
        return node

    def phone(self, user: str, **settings: Any) -> Softphone:
        host = f"127.0.3.{int(user) - 999}"
        config = replace(phone_config(user, host), server=(EDGE, 5060), expires_s=600, **settings)
        phone = self.phones[user] = Softphone(config, Random(int(user)))
        self.bench.add(phone, config.interface)
        return phone

    def run(self, seconds: float) -> None:
        self.bench.run(self.bench.now + seconds)

    def rings(self, user: str, node: str) -> bool:
        """Whether a call that this node begins is taken by the user."""
        before = self.bench.noted(CallTaken)
        self.bench.give(self.nodes[node], AgentOrder("originate", f"user/{user} &echo"))
        self.run(3)
        return [note.user for note in self.bench.noted(CallTaken)[len(before) :]] == [user]

    def home(self, user: str) -> str:
        """The node that was the last to store the user's contact."""
        return next(note.agent for note in reversed(self.bench.noted(BindingStored)) if note.user == user)


PLACES = {"FS1": udp("sofia", "127.0.1.1"), "FS2": udp("sofia", "127.0.1.2")}
USERS = [str(number) for number in range(1000, 1010)]


@pytest.mark.parametrize("mode", ["contact", "path", "direct"])
def test_phones_register_and_each_node_reaches_them(mode: Any) -> None:
    site = Site(replace(SECRET, mode=mode))
    for user in USERS:
        site.phone(user)
    site.run(3)
    assert {note.user for note in site.bench.noted(Registered)} == set(USERS)
    assert {note.expires_s for note in site.bench.noted(Registered)} == {180}
    assert site.bench.noted(RegistrationFailed) == []
    for user in USERS[:3]:
        assert all(site.rings(user, node) for node in PLACES)


def test_what_the_nodes_store_shows_nothing_of_the_phones() -> None:
    site = Site()
    site.phone("1000")
    site.run(3)
    assert [note.contact.partition("@")[2] for note in site.bench.noted(BindingStored)] == ["127.0.0.2:5060"]


def test_registrations_last_for_hours() -> None:
    site = Site()
    for user in USERS:
        site.phone(user)
    site.run(4 * 3600)
    assert len(site.bench.noted(ContactBound)) == len(USERS)
    assert site.bench.noted(RegistrationFailed) == []
    assert site.edge.open_bindings() == len(USERS)
    assert site.rings("1004", "FS1")


def test_a_killed_edge_loses_no_registration_over_udp() -> None:
    """No refresh comes in between: the tokens that the nodes hold are enough."""
    site = Site()
    for user in USERS:
        site.phone(user)
    site.run(3)
    site.bench.remove(site.edge)
    site.run(1)
    site.start_edge()
    site.run(1)
    assert site.edge.open_bindings() == 0
    assert all(site.rings(user, "FS1") for user in USERS)


def test_without_a_secret_a_killed_edge_waits_for_refreshes() -> None:
    site = Site(RegistrarConfig())
    site.phone("1000")
    site.run(3)
    site.bench.remove(site.edge)
    site.start_edge()
    site.run(1)
    assert not site.rings("1000", "FS1")
    site.run(180)
    assert site.rings("1000", "FS1")


@pytest.mark.parametrize("returns", [False, True])
def test_when_a_node_dies_its_agents_move_where_nodes_share_nothing(returns: bool) -> None:
    site = Site(replace(SECRET, shared=False), shared=False)
    for user in USERS:
        site.phone(user)
    site.run(3)
    lost = site.home("1000")
    left = next(name for name in PLACES if name != lost)
    orphans = [user for user in USERS if site.home(user) == lost]
    site.bench.remove(site.nodes[lost])
    site.run(15)
    assert [note.node for note in site.bench.noted(NodeStateChanged) if note.after == "down"] == [lost]
    assert len(site.bench.noted(ContactOrphaned)) == len(orphans)
    if returns:  # with empty memory
        site.nodes[lost] = site.node(lost, PLACES[lost], None)
    site.run(60)
    homes = {user: site.home(user) for user in orphans}
    if not returns:
        assert set(homes.values()) == {left}
        assert len(site.bench.noted(ContactRehomed)) == len(orphans)
    assert all(site.rings(user, homes[user]) for user in orphans)
