"""A topology's NATs and balancers in its world."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import get_args

import pytest

from sim.balancer import BALANCERS, BalancerSettings
from sim.nat import PRESETS, NatSettings
from sim.run import simulate
from sim.trace import MessageRecord
from topologies import TopologyError, parse
from topologies.middleboxes import Balancer, Nat

TOPOLOGY = """\
edges:
  edge1: {interfaces: {agents: {host: 198.51.100.1}, inside: {host: 10.1.0.1}}}
  edge2: {interfaces: {agents: {host: 198.51.100.2}, inside: {host: 10.1.0.2}}}
nodes:
  FS1: {host: 10.1.1.1, interface: inside}
clients:
  home: {host: 192.168.1.2, behind: homes, edge: edge1}
  house: {host: 192.168.1.3, behind: homes, edge: edge1}
  flat: {host: 192.168.2.2, behind: carrier, edge: edge1}
  office: {host: 192.168.3.2, behind: [desk, router], balancer: slb}
nats:
  homes: {preset: home_gateway, host: 203.0.113.1}
  carrier: {preset: carrier_grade, host: 203.0.113.101}
  desk: {host: 192.168.4.1}
  router: {preset: symmetric, host: 203.0.113.150}
balancers:
  slb: {host: 203.0.113.200, edges: [edge2], listeners: {sip: {}}}
scenarios:
  calls:
    duration_s: 10
    traffic:
      - {from: home, to: 9196, rate_per_s: 1}
      - {from: house, to: 9196, rate_per_s: 1}
      - {from: flat, to: 9196, rate_per_s: 1}
      - {from: office, to: 9196, rate_per_s: 1}
    faults:
      - {at_s: 5, kind: reboot, target: homes}
      - {at_s: 5, kind: reboot, target: slb}
"""


def run(text: str = TOPOLOGY) -> list[MessageRecord]:
    played = simulate(parse(text.encode(), "my.yaml"), record="all")
    assert played.violations == []
    return played.messages


def test_calls_from_behind_nats_and_balancers_go_through() -> None:
    messages = run()
    invites = Counter(each.from_place for each in messages if each.data.startswith(b"INVITE sip:9196"))
    answered = Counter(
        each.to_place for each in messages if each.data.startswith(b"SIP/2.0 200") and b" INVITE\r\n" in each.data
    )
    for client in ("home", "house", "flat", "office"):
        assert invites[client] == answered[client] > 1
    assert all(each.fate == "delivered" for each in messages)


def test_each_is_seen_from_the_address_of_its_own_nat() -> None:
    seen = {each.from_place: each.seen[0][0] for each in run() if each.seen and each.to_place.startswith("edge")}
    assert seen == {
        "home": "203.0.113.1",
        "house": "203.0.113.2",  # a device of its own
        "flat": "203.0.113.101",
        "office": "203.0.113.150",
    }


def test_the_office_is_served_by_the_edge_behind_the_balancer() -> None:
    to = {each.to_place for each in run() if each.from_place == "office"}
    assert to == {"edge2"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("desk: {host", "desk: {filtering: address_dependent, host", "nats.desk: overloaded ports need a filter"),
        ("desk: {host", "desk: {first_port: 9, last_port: 8, host", "nats.desk: ports 9 to 8"),
        ("host: 203.0.113.101", "host: 203.0.113.2", r"203\.0\.113\.2 is taken by homes/2 - change one of them"),
    ],
)
def test_what_the_machines_refuse_is_told_of_the_file(old: str, new: str, problem: str) -> None:
    with pytest.raises(TopologyError, match=problem):
        run(TOPOLOGY.replace(old, new, 1))


def test_the_schema_has_the_presets_and_settings_of_the_machines() -> None:
    for section, settings, presets in ((Nat, NatSettings, PRESETS), (Balancer, BalancerSettings, BALANCERS)):
        assert set(get_args(section.model_fields["preset"].annotation)) == presets.keys()
        own = {"preset", "host", "pool", "each", "edges", "listeners"}
        assert section.model_fields.keys() - own == {field.name for field in fields(settings)}


CALLED = """\
edges:
  edge1:
    interfaces: {agents: {host: 198.51.100.1}, inside: {host: 10.1.0.1}}
    keep_alive: {method: none}
nodes:
  FS1: {host: 10.1.1.1, interface: inside}
clients:
  phone: {kind: softphone, host: 192.168.1.2, behind: home, users: 1000-1001}
  callers: {host: 198.51.100.50, users: 1010-1019}
nats:
  home: {preset: linux_masquerade, host: 203.0.113.1}
scenarios:
  calls:
    duration_s: 110
    traffic:
      - {from: callers, to: 1000, profile: [[0, 0], [20, 3], [22, 0]], hold_s: 1, patience_s: 2}
      - {from: callers, to: 1001, profile: [[0, 0], [100, 3], [102, 0]], hold_s: 1, patience_s: 2}
"""


def test_a_registered_phone_behind_linux_is_called_within_its_30_s_and_not_after() -> None:
    """Nothing keeps the binding alive, and the registration is not refreshed before the call of second 100."""
    played = simulate(parse(CALLED.encode()), record="all")
    calls = {
        (each.to_place, each.fate)
        for each in played.messages
        if each.from_place == "edge1"
        and each.data.startswith(b"INVITE")
        and each.destination[0] == "203.0.113.1"
        and each.time_s < 110.0  # then the phones unregister, and are heard of again
    }
    assert calls == {("phone/1000", "delivered"), ("home", "filtered")}
    assert played.violations == []
