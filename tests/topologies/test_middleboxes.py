"""NATs and balancers in a topology file: what they say, and what is refused."""

from __future__ import annotations

import pytest

import topologies
from topologies import Topology, parse

GOOD = """\
edges:
  edge1: {interfaces: {agents: {host: 198.51.100.1}, web: {transport: ws, host: 198.51.100.1, port: 80}}}
  edge2: {interfaces: {agents: {host: 198.51.100.2}, web: {transport: ws, host: 198.51.100.2, port: 80}}}
clients:
  home: {host: 192.168.1.2, behind: homes, edge: edge2}
  flat: {host: 192.168.2.2, behind: [cellar, carrier], balancer: slb}
  public: {host: 198.51.100.9}
nats:
  homes: {preset: home_gateway, host: 203.0.113.1}
  cellar: {host: 100.64.0.1, unreplied_s: 20, hairpinning: true}
  carrier: {preset: symmetric, host: 203.0.113.100, pool: 4}
balancers:
  slb:
    host: 203.0.113.200
    preset: aws_nlb
    edges: [edge2]
    listeners: {sip: {}, web: {transport: ws, port: 443}}
scenarios:
  quiet:
    duration_s: 10
    faults:
      - {at_s: 1, kind: reboot, target: carrier}
      - {at_s: 2, kind: cut, between: [home, edges], silent: true}
"""


def good(old: str = "", new: str = "") -> Topology:
    assert old in GOOD
    return parse(GOOD.replace(old, new, 1).encode(), "my.yaml")


def test_clients_name_their_nats_innermost_first() -> None:
    topology = good()
    assert topology.clients["home"].behind == ("homes",)
    assert topology.clients["flat"].behind == ("cellar", "carrier")
    assert topology.clients["public"].behind == ()


def test_only_home_gateways_are_one_for_each_address_by_themselves() -> None:
    topology = good()
    assert [nat.is_each for nat in topology.nats.values()] == [True, False, False]
    assert good("symmetric,", "symmetric, each: true,").nats["carrier"].is_each


def test_what_a_file_says_of_a_preset_is_told_and_nothing_else() -> None:
    topology = good()
    assert topology.nats["cellar"].overrides == {"unreplied_s": 20.0, "hairpinning": True}
    assert topology.balancers["slb"].overrides == {}


def test_a_client_of_a_balancer_talks_to_its_listener() -> None:
    topology = good()
    assert topology.server("flat") == ("203.0.113.200", 5060)
    assert topology.server("home") == ("198.51.100.2", 5060)
    assert topology.entry("flat")[0] == "edge2"
    assert topology.server("public") == ("198.51.100.1", 5060)
    assert good("balancer: slb", "balancer: slb, transport: ws").server("flat") == ("203.0.113.200", 443)


def test_without_middleboxes_clients_talk_to_the_edges() -> None:
    plain = good().without_middleboxes()
    assert (dict(plain.nats), dict(plain.balancers)) == ({}, {})
    assert plain.clients["flat"].behind == ()
    assert plain.server("flat") == ("198.51.100.2", 5060)
    assert plain.server("public") == ("198.51.100.1", 5060)


def test_it_survives_being_written() -> None:
    assert parse(good().to_yaml().encode()) == good()


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "remedy"),
    [
        ("behind: homes", "behind: home", 5, "no NAT 'home'", "did you mean 'homes'"),
        ("[cellar, carrier]", "[cellar, carier]", 6, "no NAT 'carier'", "did you mean 'carrier'"),
        ("[cellar, carrier]", "[cellar, cellar]", 6, "behind itself", "name it once"),
        ("behind: homes", "behind: cellar", 6, "behind carrier here and behind none elsewhere", "another NAT"),
        ("balancer: slb", "balancer: slc", 6, "no balancer 'slc'", "did you mean 'slb'"),
        ("balancer: slb", "balancer: slb, edge: edge2", 6, "both an edge and a balancer", "keep the one"),
        ("balancer: slb", "balancer: slb, transport: tcp", 6, "no tcp listener", "add one to slb"),
        ("balancer: slb", "balancer: slb, interface: wep", 6, "no listener 'wep'", "did you mean 'web'"),
        ("edges: [edge2]", "edges: [edge3]", 16, "no edge 'edge3'", "did you mean 'edge2'"),
        ("transport: ws, port: 443", "transport: wss, port: 443", 17, "has no wss interface", "add one to edge2"),
        ("web: {transport: ws, port: 443}", "web: {}", 17, "udp port 5060 already belongs to sip", "another port"),
        ("host: 203.0.113.1}", "host: 198.51.100.1}", 9, "already belongs to edge1", "another address"),
        ("host: 203.0.113.200", "host: 203.0.113.1", 14, "already belongs to homes", "another address"),
        ("preset: home_gateway", "preset: home_gatway", 9, "'home_gatway'", "did you mean 'home_gateway'"),
        ("preset: aws_nlb", "preset: aws_nbl", 15, "'aws_nbl'", "did you mean 'aws_nlb'"),
        ("unreplied_s: 20", "unreplied_s: -20", 10, "too small", "at least 0"),
        ("unreplied_s: 20", "unreplid_s: 20", 10, "unknown key 'unreplid_s'", "did you mean"),
        ("target: carrier", "target: edge1", 22, "no NAT or balancer 'edge1'", "homes"),
        ("between: [home, edges]", "between: [homes, edges]", 23, "no place 'homes'", "did you mean 'home'"),
        ("  carrier:", "  edge1:", 11, "'edge1' is already one of edges", "another name"),
    ],
)
def test_one_problem_is_told_with_its_line_and_remedy(
    old: str, new: str, line: int, what: str, remedy: str
) -> None:
    with pytest.raises(topologies.TopologyError) as caught:
        good(old, new)
    told = [text for text in str(caught.value).splitlines() if what in text]
    assert told, str(caught.value)
    assert told[0].startswith(f"my.yaml:{line}: ")
    assert remedy in told[0].partition(" - ")[2]
