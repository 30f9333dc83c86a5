"""``siptwin check``: what a topology says, and what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from lab.cli.errors import FOUND_SOMETHING
from lab.cli.options import Json, PolicyName, Settings, TopologyName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.policy import Policy
    from lab.findings import Finding
    from topologies import Topology


def check(topology: TopologyName, policy: PolicyName = None, *, settings: Settings, as_json: Json = False) -> None:
    """Say what a topology means, and what will break or is at risk.

    Reads the file, looks up the names of nodes, loads the policies and builds each edge, without opening a socket.
    Exit code 1: something will break; 2: the file, a policy or a name is wrong.

    Examples:

        siptwin check my.yaml
        siptwin check my.yaml --policy my_policy.py:Mine
        siptwin check seed --json | jq .findings
    """
    from random import Random

    from engine.edge import Edge, EdgeSettings
    from engine.policies import load_policy
    from lab.cli.reading import read_topology
    from lab.deployment import with_addresses, with_policy
    from lab.findings import find

    read = with_policy(read_topology(topology, settings), policy)
    policies = {}
    for name in read.edges:
        config = with_addresses(read.edge_config(name))
        policies[name] = load_policy(config.policy)
        Edge(EdgeSettings(config, policies[name]), Random(0))
    findings = find(read, policies)
    if as_json:
        typer.echo(json.dumps(_as_json(read, policies, findings), indent=2))
    else:
        _print(read, policies, findings)
    if any(finding.severity == "breaks" for finding in findings):
        raise typer.Exit(FOUND_SOMETHING)


def _as_json(topology: Topology, policies: Mapping[str, Policy], findings: list[Finding]) -> dict[str, Any]:
    from dataclasses import asdict

    from lab.findings import attempt_timeout_s, detection_s

    return {
        "name": topology.name,
        "fingerprint": topology.fingerprint(),
        "edges": {
            name: {
                "interfaces": [f"{_address(each.transport, each.host, each.port)}" for each in config.interfaces],
                "policy": config.policy.use,
                "nodes": [node.name for node in config.nodes],
                "attempt_timeout_s": attempt_timeout_s(policies[name]),
                "probe_detection_s": detection_s(config),
            }
            for name in topology.edges
            for config in [topology.edge_config(name)]
        },
        "nodes": {
            name: {
                "address": _address(node.transport, node.host, node.port),
                "groups": list(node.groups),
                "resources": dict(node.resources),
                "enabled": node.enabled,
            }
            for name, node in topology.nodes.items()
        },
        "scenarios": {name: _scenario(topology, name) for name in topology.scenarios},
        "findings": [asdict(finding) for finding in findings],
    }


def _scenario(topology: Topology, name: str) -> dict[str, Any]:
    from lab.findings import offered_erlangs
    from lab.wording import fault_words

    scenario = topology.scenarios[name]
    return {
        "duration_s": scenario.duration_s,
        "offered_erlangs": offered_erlangs(scenario, frozenset(topology.clients)),
        "faults": [f"{fault.at_s:g} s: {fault_words(fault)}" for fault in scenario.faults],
    }


def _print(topology: Topology, policies: Mapping[str, Policy], findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    from lab.cli.tables import table
    from lab.wording import seconds

    console = Console()
    console.print(f"[bold]{topology.name}[/bold]  {topology.description}", highlight=False)
    shown = _as_json(topology, policies, findings)
    edges = [
        (
            name,
            "\n".join(edge["interfaces"]),
            edge["policy"],
            ", ".join(edge["nodes"]) or "none",
            seconds(edge["attempt_timeout_s"], "own choice"),
            seconds(edge["probe_detection_s"]),
        )
        for name, edge in shown["edges"].items()
    ]
    columns = ("edge", "interfaces", "policy", "nodes", "time-out", "found dead in")
    console.print(table("", *columns, rows=edges, words=4), "")
    nodes = [
        (
            name if node["enabled"] else f"{name} (disabled)",
            node["address"],
            ", ".join(node["groups"]),
            " ".join(f"{resource}={count}" for resource, count in node["resources"].items()) or "not counted",
        )
        for name, node in shown["nodes"].items()
    ]
    console.print(table("", "node", "address", "groups", "channels", rows=nodes, words=4), "")
    scenarios = [
        (name, "\n".join(each["faults"]) or "none", f"{each['duration_s']:g} s", f"{each['offered_erlangs']:.0f}")
        for name, each in shown["scenarios"].items()
    ]
    console.print(table("", "scenario", "faults", "duration", "Erlang", rows=scenarios, words=2), "")
    for finding in findings:
        style = "bold red" if finding.severity == "breaks" else "yellow"
        line = Text(f"{finding.severity}: ", style=style)
        console.print(
            line.append(f"{finding.where}: {finding.what} - {finding.remedy}", style="default not bold"),
            soft_wrap=True,
        )
    if not findings:
        console.print("nothing found that would break")


def _address(transport: str, host: str, port: int) -> str:
    return f"{transport} [{host}]:{port}" if ":" in host else f"{transport} {host}:{port}"
