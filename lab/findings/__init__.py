"""What can be said of a deployment before it runs: what will break, what may, with numbers and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from engine.policy import Policy
from lab.findings.capacity import capacity, offered_erlangs
from lab.findings.certificates import certificates
from lab.findings.finding import Finding
from lab.findings.media import ephemeral, ports, silence
from lab.findings.middleboxes import middleboxes
from lab.findings.nodes import attempt_timeout_s, detection, detection_s, moves, nodes, waits
from lab.findings.operation import operation
from lab.findings.paths import paths
from lab.findings.registrations import registrations
from topologies import Topology

__all__ = ["Finding", "attempt_timeout_s", "detection_s", "find", "offered_erlangs"]


def find(topology: Topology, policies: Mapping[str, Policy]) -> list[Finding]:
    """Everything that can be said now, worst first.

    Parameters
    ----------
    topology : Topology
        What is to be run.
    policies : mapping of str to Policy
        The loaded policy of each edge.
    """
    found = list(paths(topology))
    for name, policy in policies.items():
        config = topology.edge_config(name)
        found += [*nodes(config, policy), *waits(topology, config, policy), *detection(config, policy)]
        found += [
            *registrations(topology, config),
            *middleboxes(topology, config),
            *silence(topology, config),
            *ephemeral(config),
            *certificates(config, datetime.now(UTC)),
            *operation(config),
            *moves(config),
        ]
    for name, scenario in topology.scenarios.items():
        found += capacity(topology, name, scenario, policies)
        found += ports(topology, name, scenario)
    return sorted(found, key=lambda finding: finding.severity != "breaks")
