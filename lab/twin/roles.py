"""Who is who in a recording: the topology tells edges and nodes; everybody else is an agent."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from engine.boundary import Address, Interface
from lab.errors import InputError
from lab.twin.recording import Heard, Recording
from sim.nodes import node_host
from topologies import Topology

Role = Literal["edge", "node", "agent"]


class Roles:
    """Looks addresses up in a topology."""

    def __init__(self, topology: Topology) -> None:
        self._edges: dict[Address, tuple[str, Interface]] = {}
        for name in topology.edges:
            for interface in topology.edge_config(name).interfaces:
                for host, port in (
                    (interface.host, interface.port),
                    (interface.public_host, interface.public_port),
                ):
                    self._edges.setdefault((host, port), (name, interface))
        self._nodes: dict[Address, str] = {}
        self._node_hosts: dict[str, str] = {}
        edge_hosts = {host for host, _ in self._edges}
        for name, node in topology.nodes.items():
            host = node_host(topology, name)
            self._nodes[host, node.port] = name
            if host not in edge_hosts:
                self._node_hosts.setdefault(host, name)

    def role(self, address: Address) -> Role:
        """Edge, node or agent."""
        if address in self._edges:
            return "edge"
        return "node" if self.node(address) else "agent"

    def place(self, address: Address) -> str:
        """The name of an edge or a node; of an agent its address."""
        if address in self._edges:
            return self._edges[address][0]
        return self.node(address) or f"{address[0]}:{address[1]}"

    def node(self, address: Address) -> str:
        """The node that talks from here; empty where none does."""
        return self._nodes.get(address) or self._node_hosts.get(address[0], "")

    def interface(self, address: Address) -> Interface:
        """The edge's interface at this address, which must be one of an edge."""
        return self._edges[address][1]

    def agents_ways(self, recording: Recording) -> list[tuple[Heard, Address, bool]]:
        """What agents and edges said to each other: the message, the agent, and whether it was the agent's.

        Raises
        ------
        InputError
            If there is nothing of the kind: the topology has other addresses than the recording.
        """
        found = []
        for heard in recording.messages:
            sender, receiver = self.role(heard.source), self.role(heard.destination)
            if sender == "agent" and receiver == "edge":
                found.append((heard, heard.source, True))
            elif sender == "edge" and receiver == "agent":
                found.append((heard, heard.destination, False))
        if not found:
            busiest = Counter(heard.destination for heard in recording.messages).most_common(3)
            seen = ", ".join(f"{host}:{port} ({count} messages)" for (host, port), count in busiest)
            ours = ", ".join(f"{host}:{port}" for host, port in self._edges)
            raise InputError(
                f"no agent talks to an edge in {recording.name}: the topology's edges are at {ours}, "
                f"the recording is about {seen} - write its addresses into the topology, or --set them"
            )
        return found
