"""Single points of failure: what every way from a client to a node leads through."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from lab.findings.finding import Finding
from topologies import Topology

_NODES = "any node"  # where calls end: one node is as good as another
_CLIENTS = "any client"


def graph(topology: Topology) -> nx.DiGraph[str]:
    """The ways that calls can take: from clients over balancers and edges to the nodes these serve.

    A topology without clients is met by clients that know all of its edges.
    """
    ways: nx.DiGraph[str] = nx.DiGraph()
    ways.add_node(_NODES)
    for name, client in topology.clients.items():
        if client.nodes:
            ways.add_edges_from((name, node) for node in client.nodes)
        elif client.balancer is None:
            ways.add_edge(name, topology.entry(name)[0])
        else:
            ways.add_edge(name, client.balancer)
            ways.add_edges_from((client.balancer, edge) for edge in topology.edges_behind(client.balancer))
    if not topology.clients:
        ways.add_edges_from((_CLIENTS, edge) for edge in topology.edges)
    for edge in topology.edges:
        ways.add_edges_from((edge, node) for node in topology.served(edge))
    ways.add_edges_from((node, _NODES) for node in topology.nodes)
    return ways


def single_points(topology: Topology) -> dict[str, list[str]]:
    """Each place that every way of some clients leads through, with these clients."""
    ways = graph(topology)
    cut_off: dict[str, list[str]] = {}
    for client in topology.clients or (_CLIENTS,):
        if not nx.has_path(ways, client, _NODES):
            continue
        dominators = nx.immediate_dominators(ways, client)
        place = dominators[_NODES]
        while place != client:
            cut_off.setdefault(place, []).append(client)
            place = dominators[place]
    return cut_off


def paths(topology: Topology) -> Iterator[Finding]:
    """Everything whose death cuts somebody off from all nodes."""
    for place, clients in single_points(topology).items():
        everyone = len(clients) == len(topology.clients) or clients == [_CLIENTS]
        whose = "no call" if everyone else f"no call of {', '.join(clients)}"
        what = f"{place} is a single point of failure: while it is away {whose} can be made"
        yield Finding("risk", place, what, _remedy(topology, place))


def _remedy(topology: Topology, place: str) -> str:
    if place in topology.edges:
        return "add a second edge, and let phones know both"
    if place in topology.balancers:
        return "let phones know a second balancer, or have it stand by"
    return "add a second node to its group"
