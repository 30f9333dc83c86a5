"""Edges that ask each other for agents: which, at which interfaces, and whether they understand each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.config import PeerConfig
from topologies.errors import Path, Problem, did_you_mean

if TYPE_CHECKING:
    from topologies.topology import Topology


def peers_of(topology: Topology, edge_name: str) -> tuple[str, ...]:
    """The other edges that an edge's agents may move to, in the order of the file."""
    words = topology.edges[edge_name].peers
    return tuple(name for name in topology.edges if name != edge_name and (name in words or "edges" in words))


def peer_config(topology: Topology, edge_name: str, other_name: str) -> PeerConfig:
    """Another edge as an edge knows it.

    Raises
    ------
    KeyError
        If the two have no interfaces for each other.
    """
    other = topology.edges[other_name]
    theirs, ours = _face(topology, other_name), _face(topology, edge_name)
    transport = other.interfaces[theirs].transport
    if topology.edges[edge_name].interfaces[ours].transport != transport:
        ours = topology.interface(edge_name, transport).name
    base = topology.source_path.parent if topology.source_path else None
    # Its certificates are its own business: that they change is nothing to others.
    interfaces = tuple(replace(each.to_engine(name, base), tls=None) for name, each in other.interfaces.items())
    return PeerConfig(name=other_name, interfaces=interfaces, interface=theirs, by=ours)


def _face(topology: Topology, edge_name: str) -> str:
    """The interface at which other edges talk to an edge."""
    edge = topology.edges[edge_name]
    fit = [name for name, each in edge.interfaces.items() if each.transport in ("udp", "tcp", "tls")]
    wanted = edge.peer_interface or next(iter(fit), "")
    if wanted not in fit:
        raise KeyError(f"{edge_name} has no interface {wanted} for other edges".replace("  ", " "))
    return wanted


def contradictions(topology: Topology) -> Iterator[Problem]:
    """What keeps edges from asking each other."""
    for edge_name, edge in topology.edges.items():
        where: Path = ("edges", edge_name, "peers")
        for position, word in enumerate(edge.peers):
            if word != "edges" and word not in topology.edges:
                yield Problem((*where, position), f"there is no edge {word!r}", did_you_mean(word, topology.edges))
        for name in peers_of(topology, edge_name):
            yield from _pair(topology, edge_name, name, where)


def _pair(topology: Topology, edge_name: str, other_name: str, where: Path) -> Iterator[Problem]:
    edge, other = topology.edges[edge_name], topology.edges[other_name]
    try:
        peer_config(topology, edge_name, other_name)
    except KeyError as error:
        yield Problem(where, str(error.args[0]), "name one on UDP, TCP or TLS, of the same transport for both")
    kept = edge.store.database
    if edge.registrar.secret != other.registrar.secret:
        yield Problem(where, f"{edge_name} and {other_name} have different secrets", "give both the same secret")
    elif edge.registrar.secret is None and (kept is None or kept != other.store.database):
        what = f"{edge_name} and {other_name} share no secret, and so understand none of each other's tokens"
        yield Problem(where, what, "give both the same registrar.secret, or the same store")
