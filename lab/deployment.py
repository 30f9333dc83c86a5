"""What all worlds do to a topology before they run it, so that each of them runs the same thing."""

from __future__ import annotations

import socket
from dataclasses import replace

from engine.config import EdgeConfig, NodeConfig, PolicyConfig
from lab.errors import InputError
from topologies import Topology
from topologies.base import Table


def with_policy(topology: Topology, use: str | None) -> Topology:
    """The topology with another policy at all edges; None leaves each its own.

    An edge that uses this policy already keeps its options.
    """
    if use is None:
        return topology
    edges = {
        name: edge
        if edge.policy.use == use
        else edge.model_copy(update={"policy": PolicyConfig(use=use, options=Table())})
        for name, edge in topology.edges.items()
    }
    return topology.model_copy(update={"edges": Table(edges)})


def with_addresses(config: EdgeConfig) -> EdgeConfig:
    """An edge's settings with the names of its nodes looked up: the edge knows its nodes by address.

    Raises
    ------
    InputError
        If a name does not resolve to an address that the edge's interface can reach.
    """
    families = {each.name: _family(each.host) for each in config.interfaces}
    defaults = {each.transport: _family(each.host) for each in reversed(config.interfaces)}
    return replace(
        config,
        nodes=tuple(
            _with_address(node, families.get(node.interface or "", defaults.get(node.transport)))
            for node in config.nodes
        ),
    )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _with_address(node: NodeConfig, family: socket.AddressFamily | None) -> NodeConfig:
    try:
        found = socket.getaddrinfo(node.host, node.port, family or socket.AF_UNSPEC, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a host name"
        raise InputError(
            f"node {node.name}: {node.host!r} does not resolve ({reason.lower()}) - correct its host, "
            "or write its IP address"
        ) from None
    return replace(node, host=str(found[0][4][0]))
