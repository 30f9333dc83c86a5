"""Cross-checks of relays: addresses that can be told, ports that nobody else has, interfaces that exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from topologies.errors import Path, Problem, did_you_mean
from topologies.rtpengines import Rtpengines, name_of

if TYPE_CHECKING:
    from topologies.topology import Topology


def relays(topology: Topology) -> Iterator[Problem]:
    """What does not fit together in the relays of all edges."""
    taken: list[tuple[str, int, int, str]] = []
    for edge_name, edge in topology.edges.items():
        if edge.relay is None:
            continue
        where: Path = ("edges", edge_name, "relay")
        yield from _served(topology, edge_name, where)
        if edge.relay.rtpengine:
            yield from _named(topology, edge.relay.rtpengine, where)
            continue
        for each in edge.relay.to_engine(edge.interfaces).interfaces:
            here = (*where, "interfaces", each.name)
            if not each.host:
                yield Problem(here, f"the relay's {each.name} has no host", "give the IP address to bind: host:")
            if each.host in ("0.0.0.0", "::"):
                what = f"media ports of {each.name} cannot be told as {each.host}"
                remedy = "give the address that packets leave from, and advertised_host: where peers see another"
                yield Problem((*here, "host"), what, remedy)
            for host, low, high, owner in taken:
                if host == each.host and low <= each.high and each.low <= high:
                    what = f"ports {each.low}-{each.high} of {each.host} already belong to {owner}"
                    yield Problem((*here, "ports"), what, "give one of the two other ports: or another host:")
                    break
            taken.append((each.host, each.low, each.high, f"{edge_name}'s {each.name}"))
    yield from _bound(topology, taken)


def _served(topology: Topology, edge_name: str, where: Path) -> Iterator[Problem]:
    edge = topology.edges[edge_name]
    owners: dict[str, str] = {}
    for name, address in edge.relay.interfaces.items() if edge.relay else ():
        for position, served in enumerate(address.serves):
            here = (*where, "interfaces", name, "serves", position)
            if served not in edge.interfaces:
                what = f"{edge_name} has no interface {served!r}"
                yield Problem(here, what, did_you_mean(served, edge.interfaces))
            elif owners.setdefault(served, name) != name:
                what = f"{served} is already served by {owners[served]}"
                yield Problem(here, what, "take it out of one of the two")


def _named(topology: Topology, servers: Rtpengines, where: Path) -> Iterator[Problem]:
    """Names that are taken, by another server of the same relay, or by something else."""
    others = {*topology.edges, *topology.nodes, *topology.clients, *topology.nats, *topology.balancers}
    names: set[str] = set()
    for position, server in enumerate(servers):
        name = name_of(server, position + 1)
        known = topology.rtpengines[name]
        if name in names or (known.host, known.port) != (server.host, server.port):
            what = f"a second rtpengine is called {name}"
            yield Problem((*where, "rtpengine", position), what, "give one of the two another name:")
        elif name in others:
            what = f"{name!r} is the name of something else"
            yield Problem((*where, "rtpengine", position), what, "choose another name:")
        names.add(name)


def _bound(topology: Topology, taken: list[tuple[str, int, int, str]]) -> Iterator[Problem]:
    """SIP interfaces within a range of media ports."""
    for edge_name, edge in topology.edges.items():
        for name, interface in edge.interfaces.items():
            for host, low, high, owner in taken:
                if interface.transport == "udp" and interface.host == host and low <= interface.port <= high:
                    what = f"port {interface.port} of {host} is also a media port of {owner}"
                    remedy = "move the interface or the ports:"
                    yield Problem(("edges", edge_name, "interfaces", name, "port"), what, remedy)
