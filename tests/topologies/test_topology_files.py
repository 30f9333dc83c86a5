"""Topology files: those that come with siptwin, and what any other may be."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import topologies
from engine.config import EdgeConfig, NodeConfig, PolicyConfig, ProbeConfig, TimersConfig
from topologies.topology import Topology

SMALLEST = "edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}}}"


def parsed(text: str) -> Topology:
    return topologies.parse(text.encode())


@pytest.mark.parametrize("name", topologies.names())
def test_a_packaged_topology_loads_and_survives_being_written(name: str) -> None:
    topology = topologies.load(name)
    again = parsed(topology.to_yaml())
    assert again == topology
    assert again.fingerprint() == topology.fingerprint()
    assert topology.source_path is not None
    assert topology.source_path.name == f"{name}.yaml"
    assert topology.description


@pytest.mark.parametrize("name", topologies.names())
def test_a_packaged_topology_stays_on_loopback_addresses(name: str) -> None:
    topology = topologies.load(name)
    hosts = [interface.host for edge in topology.edges.values() for interface in edge.interfaces.values()]
    hosts += [node.host for node in topology.nodes.values()]
    hosts += [client.host for client in topology.clients.values()]
    assert all(host.startswith("127.") for host in hosts)


def test_the_packaged_topologies_are_named() -> None:
    assert topologies.names() == ["rescue", "seed", "seed_2021", "single", "two_edges", "webrtc"]


def test_the_seed_topology_is_the_source_design() -> None:
    seed = topologies.load("seed")
    edge = seed.edge_config("edge1")
    assert [(i.name, i.host, i.port) for i in edge.interfaces] == [
        ("agents", "127.0.0.1", 5060),
        ("inside", "127.0.0.2", 5060),
    ]
    assert [(node.name, node.host, node.interface) for node in edge.nodes] == [
        ("FS1", "127.0.1.1", "inside"),
        ("FS2", "127.0.1.2", "inside"),
    ]
    assert all(node.resources == {"vm": 100, "conf": 100, "transc": 100, "pstn": 500} for node in edge.nodes)
    assert (edge.probe.interval_s, edge.probe.leave_after) == (5.0, 2)
    assert seed.default_scenario == "failover"
    failover = seed.scenario()
    assert [(fault.at_s, fault.kind) for fault in failover.faults] == [(30.0, "kill"), (60.0, "start")]
    assert failover.traffic[0].hold_s.distribution == "exponential"


def test_a_topology_needs_nothing_but_an_edge_with_an_address() -> None:
    topology = parsed(SMALLEST)
    config = topology.edge_config("edge1")
    assert config == EdgeConfig(name="edge1", interfaces=config.interfaces)
    assert (config.interfaces[0].port, config.interfaces[0].transport) == (5060, "udp")


def test_settings_left_out_are_the_engines_own_defaults() -> None:
    edge = parsed(SMALLEST.replace("}}}}", "}}, timers: {t1_s: 0.1}, probe: {interval_s: 2}}}")).edge_config(
        "edge1"
    )
    assert edge.timers == TimersConfig(t1_s=0.1)
    assert edge.probe == ProbeConfig(interval_s=2)
    node = parsed(SMALLEST + "\nnodes: {FS1: {host: fs1.example}}").edge_config("edge1").nodes[0]
    assert node == NodeConfig(name="FS1", host="fs1.example")


def test_a_policy_is_a_name_or_a_name_with_options() -> None:
    short = parsed(SMALLEST.replace("}}}}", "}}, policy: round_robin}}"))
    long = parsed(SMALLEST.replace("}}}}", "}}, policy: {use: weighted, options: {key: [1, no]}}}}"))
    assert short.edge_config("edge1").policy == PolicyConfig(use="round_robin")
    assert long.edge_config("edge1").policy == PolicyConfig(use="weighted", options={"key": [1, "no"]})


def test_resources_are_a_mapping_or_a_compact_string() -> None:
    nodes = "nodes: {A: {host: a, resources: vm=100;pstn=500}, B: {host: b, resources: {vm: 100, pstn: 500}}}"
    topology = parsed(f"{SMALLEST}\n{nodes}")
    assert topology.nodes["A"].resources == topology.nodes["B"].resources == {"vm": 100, "pstn": 500}


@pytest.mark.parametrize(
    ("written", "first", "last", "count"),
    [("1000-1019", "1000", "1019", 20), ("5", "1000", "1004", 5), ("{first: 7, last: 7}", "7", "7", 1)],
)
def test_users_are_a_range_or_a_count(written: str, first: str, last: str, count: int) -> None:
    users = (
        parsed(f"{SMALLEST}\nclients: {{callers: {{host: 127.0.2.1, users: {written}}}}}").clients["callers"].users
    )
    assert (users.names[0], users.names[-1], len(users)) == (first, last, count)


def test_numbers_that_mean_text_are_text_as_typed() -> None:
    text = f"{SMALLEST}\nclients: {{c: {{host: 127.0.2.1, password: 0123}}}}\n"
    text += (
        "scenarios: {s: {traffic: [{from: c, to: +49301234, rate_per_s: 1}, {from: c, to: 9196, rate_per_s: 1}]}}"
    )
    topology = parsed(text)
    assert topology.clients["c"].password == "0123"
    assert [traffic.to for traffic in topology.scenario("s").traffic] == ["+49301234", "9196"]


def test_a_duration_is_a_number_of_seconds_or_a_distribution() -> None:
    traffic = "{from: c, to: 1, rate_per_s: 1, hold_s: 7, patience_s: {distribution: exponential, mean: 9}}"
    text = f"{SMALLEST}\nclients: {{c: {{host: 127.0.2.1}}}}\nscenarios: {{s: {{traffic: [{traffic}]}}}}"
    calls = parsed(text).scenario().traffic[0]
    assert (calls.hold_s.distribution, calls.hold_s.mean) == ("fixed", 7.0)
    assert (calls.patience_s.distribution, calls.patience_s.mean) == ("exponential", 9.0)


def test_an_edge_serves_the_groups_and_nodes_that_it_names() -> None:
    edges = "edges: {e: {interfaces: {a: {host: 127.0.0.1}}, nodes: [big, C]}}"
    nodes = "nodes: {A: {host: a, groups: [big]}, B: {host: b}, C: {host: c}}"
    topology = parsed(f"{edges}\n{nodes}")
    assert topology.served("e") == ("A", "C")
    assert [node.name for node in topology.edge_config("e").nodes] == ["A", "C"]


def test_merged_mappings_give_way_to_what_is_written() -> None:
    text = f"{SMALLEST}\nnodes:\n  A: &a {{host: a, port: 5070, weight: 3}}\n  B: {{weight: 2, <<: *a, host: b}}"
    node = parsed(text).nodes["B"]
    assert (node.host, node.port, node.weight) == ("b", 5070, 2)


def test_a_topology_is_frozen_to_the_ground() -> None:
    topology = topologies.load("seed")
    with pytest.raises(ValueError, match="frozen"):
        topology.name = "other"
    with pytest.raises(TypeError):
        topology.nodes["FS3"] = topology.nodes["FS1"]  # type: ignore[index]  # the very thing that must fail
    with pytest.raises(AttributeError):
        topology.edges["edge1"].timers.t1_s = 1.0  # type: ignore[misc]  # the very thing that must fail


def test_a_topology_and_its_settings_travel_to_other_processes() -> None:
    topology = topologies.load("two_edges")
    assert pickle.loads(pickle.dumps(topology)) == topology
    config = topology.edge_config("edge2")
    assert pickle.loads(pickle.dumps(config)) == config


def test_the_fingerprint_tells_content_from_spelling(tmp_path: Path) -> None:
    seed = topologies.load("seed")
    assert seed.source_path is not None
    text = seed.source_path.read_text()
    same = tmp_path / "seed.yaml"
    same.write_text("# another comment\n" + text.replace("port: 5060\n", "port: 0x0\n".replace("0x0", "5060 ")))
    other = tmp_path / "other" / "seed.yaml"
    other.parent.mkdir()
    other.write_text(text.replace("rate_per_s: 10", "rate_per_s: 11"))
    assert topologies.load(same).fingerprint() == seed.fingerprint()
    assert topologies.load(other).fingerprint() != seed.fingerprint()


def test_the_scenario_called_default_comes_before_the_first() -> None:
    assert parsed(f"{SMALLEST}\nscenarios: {{a: {{}}, default: {{}}}}").default_scenario == "default"
    assert parsed(f"{SMALLEST}\nscenarios: {{a: {{}}, b: {{}}}}").default_scenario == "a"
    with pytest.raises(topologies.TopologyError, match=r"no scenario.* - add one"):
        parsed(SMALLEST).scenario()
    with pytest.raises(topologies.TopologyError, match=r"'failovr' - did you mean 'failover'"):
        topologies.load("seed").scenario("failovr")


def test_links_put_what_they_say_over_the_network_of_the_client() -> None:
    text = f"""
{SMALLEST}
nodes: {{FS1: {{host: 127.0.1.1}}}}
clients:
  home: {{host: 127.0.2.1, network: wan}}
  van: {{host: 127.0.2.2, network: radio}}
  desk: {{host: 127.0.2.3}}
networks: {{radio: {{latency_ms: 80, loss: 0.02}}}}
links_default: {{latency_ms: 1}}
links:
  - {{between: [clients, edges], jitter_ms: 9}}
  - {{between: [home, edge1], loss: 0.5}}
"""
    topology = parsed(text)
    home, van = topology.link("home", "edge1"), topology.link("edge1", "van")
    assert (home.latency_ms, home.jitter_ms, home.loss) == (30.0, 9.0, 0.5)
    assert (van.latency_ms, van.jitter_ms, van.loss) == (80.0, 9.0, 0.02)
    assert topology.link("edge1", "FS1").latency_ms == topology.link("desk", "edge1").latency_ms == 1.0


def test_a_client_enters_at_the_first_interface_of_its_transport() -> None:
    text = """
edges:
  e1: {interfaces: {a: {host: 127.0.0.1}, b: {host: 127.0.0.1, transport: tcp}}}
clients: {c: {host: 127.0.2.1, transport: tcp}, d: {host: 127.0.2.1}}
"""
    topology = parsed(text)
    assert [topology.entry(name)[1].name for name in ("c", "d")] == ["b", "a"]


def test_a_file_in_the_working_directory_comes_before_a_packaged_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "single").write_text(SMALLEST)
    assert not topologies.load("single").nodes
