"""What several findings read of a topology."""

from __future__ import annotations

from engine.config import EdgeConfig, NodeConfig
from engine.policy import Policy
from topologies import Topology


def candidates(config: EdgeConfig, policy: Policy) -> list[NodeConfig]:
    """The nodes that a policy chooses from."""
    return [node for node in config.nodes if policy.group in node.groups and node.enabled]


def callers_of(topology: Topology, edge_name: str) -> frozenset[str]:
    """The clients that talk to an edge."""
    return frozenset(
        name
        for name, client in topology.clients.items()
        if not client.nodes and topology.entry(name)[0] == edge_name
    )


def granted_s(topology: Topology, config: EdgeConfig) -> float:
    """The longest expiry that an agent is granted: what the nodes grant, cut to what the edge allows."""
    grants = [topology.nodes[node.name].model.force_expires_s for node in config.nodes]
    return float(
        min([max(grants, default=config.registrar.agent_max_expires_s), config.registrar.agent_max_expires_s])
    )
