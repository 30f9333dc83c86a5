"""Cross-checks of NATs and balancers; see ``topologies.checks``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from topologies.errors import Path, Problem, did_you_mean

if TYPE_CHECKING:
    from topologies.topology import Topology


def nat_chains(topology: Topology) -> Iterator[Problem]:
    """Each NAT must be known, and stand behind the same others for everybody."""
    outer: dict[str, tuple[str, ...]] = {}
    for client_name, client in topology.clients.items():
        where: Path = ("clients", client_name, "behind")
        for position, name in enumerate(client.behind):
            here: Path = (*where, position)
            if name not in topology.nats:
                yield Problem(here, f"there is no NAT {name!r}", did_you_mean(name, topology.nats))
                continue
            rest = client.behind[position + 1 :]
            if name in rest:
                yield Problem(here, f"{name} is behind itself", "name it once, the innermost first")
            elif outer.setdefault(name, rest) != rest:
                what = f"{name} is behind {_words(rest)} here and behind {_words(outer[name])} elsewhere"
                yield Problem(here, what, "give one of the two clients another NAT")


def balanced(topology: Topology) -> Iterator[Problem]:
    """Balancers' edges and listeners, and the clients that talk to them."""
    for name, balancer in topology.balancers.items():
        for position, word in enumerate(balancer.edges):
            if word != "edges" and word not in topology.edges:
                where: Path = ("balancers", name, "edges", position)
                yield Problem(where, f"there is no edge {word!r}", did_you_mean(word, topology.edges))
        for listener_name, listener in balancer.listeners.items():
            for edge in topology.edges_behind(name):
                try:
                    topology.interface(edge, listener.transport, listener.interface)
                except KeyError:
                    wanted = f"{listener.transport} interface {listener.interface or ''}".rstrip()
                    what = f"{edge} is behind {name} and has no {wanted}"
                    remedy = f"add one to {edge}, or leave it out of edges:"
                    yield Problem(("balancers", name, "listeners", listener_name), what, remedy)
    for name, client in topology.clients.items():
        if client.balancer is None:
            continue
        here: Path = ("clients", name, "balancer")
        if client.balancer not in topology.balancers:
            what = f"there is no balancer {client.balancer!r}"
            yield Problem(here, what, did_you_mean(client.balancer, topology.balancers))
        elif client.edge is not None:
            yield Problem(here, "both an edge and a balancer are named", "keep the one that the client talks to")
        else:
            known = topology.balancers[client.balancer].listeners
            if client.interface is not None and client.interface not in known:
                what = f"{client.balancer} has no listener {client.interface!r}"
                yield Problem(("clients", name, "interface"), what, did_you_mean(client.interface, known))
            elif topology.listener(name) is None:
                what = f"{client.balancer} has no {client.transport} listener for {name}"
                yield Problem(here, what, f"add one to {client.balancer} or change {name}'s transport")


def addresses(topology: Topology) -> Iterator[Problem]:
    """The address of a NAT or balancer is nobody else's."""
    owners: dict[str, str] = {}
    for edge_name, edge in topology.edges.items():
        owners |= {interface.host: edge_name for interface in edge.interfaces.values()}
    owners |= {node.host: name for name, node in topology.nodes.items()}
    owners |= {client.host: name for name, client in topology.clients.items()}
    for kind, boxes in (("nats", topology.nats), ("balancers", topology.balancers)):
        for name, box in boxes.items():
            owner = owners.setdefault(box.host, name)
            if owner != name:
                yield Problem(
                    (kind, name, "host"), f"{box.host} already belongs to {owner}", "take another address"
                )
    for name, balancer in topology.balancers.items():
        taken: dict[tuple[str, int], str] = {}
        for listener_name, listener in balancer.listeners.items():
            owner = taken.setdefault((listener.transport, listener.port), listener_name)
            if owner != listener_name:
                what = f"{listener.transport} port {listener.port} already belongs to {owner}"
                yield Problem(("balancers", name, "listeners", listener_name), what, "take another port")


def _words(names: tuple[str, ...]) -> str:
    return " and ".join(names) or "none"
