"""Fault swarms: deployments and disasters drawn at random, to be run against every checker.

    siptwin simulate swarm.yaml --seed 17       # after: python -m sim.swarm 17 > swarm.yaml

One seed fixes everything: how many nodes, which policy, how bad the links, what befalls whom and when.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from random import Random
from typing import Any, Final

import yaml

from topologies import Topology, parse

DURATION_S: Final = 20.0
POLICIES: Final = ("least_loaded", "round_robin", "weighted", "hash_user", "latency")
_FAULTS: Final = (
    "kill",
    "freeze",
    "slow",
    "full",
    "flap",
    "partition",
    "one-way partition",
    "drain",
    "disable",
    "loss",
)


def draw(seed: int) -> Topology:
    """A topology whose one scenario, ``swarm``, is full of faults; equal for equal seeds."""
    return parse(text(seed).encode(), shown=f"swarm {seed}")


def text(seed: int) -> str:
    """The same as a topology file."""
    rng = Random(f"swarm {seed}")
    nodes = [f"FS{number}" for number in range(1, rng.randint(2, 4) + 1)]
    edges = [f"edge{number}" for number in range(1, rng.randint(1, 2) + 1)]
    clients = [f"callers{number}" for number in range(1, len(edges) + 1)]
    topology: dict[str, Any] = {
        "description": f"Swarm of faults, seed {seed}.",
        "edges": {name: _edge(rng, number) for number, name in enumerate(edges, 1)},
        "nodes": {name: _node(rng, number) for number, name in enumerate(nodes, 1)},
        "clients": {
            name: {"host": f"127.0.2.{number}", "edge": edges[number - 1]}
            for number, name in enumerate(clients, 1)
        },
        "links_default": {
            "latency_ms": rng.choice([0.2, 5, 40]),
            "jitter_ms": rng.choice([0.05, 2, 10]),
            "loss": rng.choice([0, 0.01, 0.05]),
            "reorder": rng.choice([0, 0.02]),
            "duplicate": rng.choice([0, 0.02]),
        },
        "scenarios": {
            "swarm": {
                "duration_s": DURATION_S,
                "traffic": [_traffic(rng, name) for name in clients],
                "faults": _faults(rng, nodes, edges, clients),
            }
        },
    }
    _watch(Random(f"swarm events {seed}"), topology["nodes"].values())
    _keep(Random(f"swarm store {seed}"), topology)
    return yaml.safe_dump(topology, sort_keys=False)


def _watch(rng: Random, nodes: Iterable[dict[str, Any]]) -> None:
    """Give some nodes an event socket, and let some of these tell their own capacity."""
    for node in nodes:
        if rng.random() < 0.5:
            node["events"] = {"poll_s": rng.choice([0.5, 1]), "timeout_s": rng.choice([0.5, 2]), "retry_max_s": 3}
            if rng.random() < 0.5:
                node["resources"] = "pstn=fs"
                node["model"]["max_sessions"] = rng.choice([5, 50])


def _keep(rng: Random, topology: dict[str, Any]) -> None:
    """Give some edges a database, which fails, and kill them."""
    if rng.random() < 0.5:
        return
    topology["databases"] = {"main": {"model": {"latency_ms": rng.choice([1, 20, 200])}}}
    through = rng.choice([["bindings", "nodes"], ["bindings", "dialogs", "nodes"], []])
    faults = topology["scenarios"]["swarm"]["faults"]
    for name, edge in topology["edges"].items():
        edge["store"] = {"database": "main", "write_through": through}
        if rng.random() < 0.5:
            dies_s = round(rng.uniform(5, DURATION_S - 5), 3)
            faults.append({"at_s": dies_s, "kind": "kill", "target": name})
            faults.append({"at_s": round(dies_s + rng.uniform(0.2, 4), 3), "kind": "start", "target": name})
    begin, end = rng.choice([("kill", "start"), ("freeze", "thaw"), ("slow", "normal")])
    fails_s = round(rng.uniform(1, DURATION_S - 8), 3)
    fault = {"at_s": fails_s, "kind": begin, "target": "main"}
    faults.append(fault | {"delay_s": 1.5} if begin == "slow" else fault)
    faults.append({"at_s": round(fails_s + rng.uniform(0.5, 6), 3), "kind": end, "target": "main"})
    faults.sort(key=lambda fault: fault["at_s"])


def _edge(rng: Random, number: int) -> dict[str, Any]:
    return {
        "interfaces": {
            "agents": {"host": f"127.0.0.{10 * number}"},
            "inside": {"host": f"127.0.0.{10 * number + 1}"},
        },
        "policy": rng.choice(POLICIES),
        "probe": {"interval_s": rng.choice([1, 2, 5]), "return_after": rng.randint(1, 2)},
    }


def _node(rng: Random, number: int) -> dict[str, Any]:
    return {
        "host": f"127.0.1.{number}",
        "interface": "inside",
        "weight": rng.randint(1, 3),
        "resources": {"pstn": rng.choice([5, 50, 500])},
        "model": {"ring_delay_s": rng.choice([0, 0.1, 1]), "answer_delay_s": rng.choice([0, 0.5])},
    }


def _traffic(rng: Random, source: str) -> dict[str, Any]:
    return {
        "from": source,
        "to": rng.choice(["9196", "9196", "9664"]),
        "rate_per_s": rng.choice([2, 5, 10]),
        "hold_s": {"distribution": "exponential", "mean": rng.choice([1, 4, 8])},
        "patience_s": rng.choice([1, 20]),
    }


def _faults(rng: Random, nodes: list[str], edges: list[str], clients: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _ in range(rng.randint(1, 6)):
        begins_s = round(rng.uniform(0.5, DURATION_S - 2), 3)
        ends_s = round(min(begins_s + rng.uniform(0.3, 10), DURATION_S - 0.1), 3)
        found += _pair(rng, rng.choice(_FAULTS), begins_s, ends_s, nodes, [*edges, *clients])
    return sorted(found, key=lambda fault: fault["at_s"])


def _pair(
    rng: Random, kind: str, begins_s: float, ends_s: float, nodes: list[str], others: list[str]
) -> list[dict[str, Any]]:
    """One fault with its end."""
    target = rng.choice(nodes)
    begin: dict[str, Any] = {"at_s": begins_s, "kind": kind, "target": target}
    end: dict[str, Any] = {"at_s": ends_s, "target": target}
    if kind == "flap":
        period_s = round((DURATION_S - begins_s) * rng.uniform(0.1, 0.49), 3)  # both times end within the scenario
        return [begin | {"period_s": period_s, "times": 2}]
    if kind.endswith("partition"):
        between = [target, rng.choice(others)]
        rng.shuffle(between)
        fault = {"at_s": begins_s, "kind": "partition", "between": between, "one_way": kind != "partition"}
        return [fault, {"at_s": ends_s, "kind": "heal", "between": between}]
    if kind == "loss":
        share = round(rng.uniform(0.02, 0.2), 3)
        return [{"at_s": begins_s, "kind": "loss", "share": share}, {"at_s": ends_s, "kind": "loss", "share": 0}]
    if kind == "slow":
        begin["delay_s"] = round(rng.uniform(0.01, 2), 3)
    ends = {
        "kill": "start",
        "freeze": "thaw",
        "slow": "normal",
        "full": "not_full",
        "drain": "resume",
        "disable": "enable",
    }
    return [begin, end | {"kind": ends[kind]}]


if __name__ == "__main__":
    print(text(int(sys.argv[1]) if len(sys.argv) > 1 else 0), end="")
