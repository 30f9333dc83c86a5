"""Cross-checks: what is fine by itself and does not fit together. Each check yields all that it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from topologies import middlebox_checks, peers, relay_checks
from topologies.errors import Path, Problem, did_you_mean
from topologies.faults import (
    Call,
    ChangeNetwork,
    Cut,
    Deed,
    Fault,
    Flap,
    Heal,
    LoadFault,
    Loss,
    Order,
    Originate,
    Partition,
    ProcessFault,
    Reboot,
    Sleep,
    Slow,
    Start,
)
from topologies.links import PRESETS
from topologies.scenarios import Scenario

if TYPE_CHECKING:
    from topologies.topology import Topology

Check: TypeAlias = Callable[["Topology"], Iterator[Problem]]

WORDS = ("edges", "nodes", "clients", "rtpengines", "*")
"""Names that mean many places."""


def places(topology: Topology, word: str) -> tuple[str, ...]:
    """See `Topology.places`."""
    many = {
        "edges": tuple(topology.edges),
        "nodes": tuple(topology.nodes),
        "clients": tuple(topology.clients),
        "rtpengines": tuple(topology.rtpengines),
        "*": (*topology.edges, *topology.nodes, *topology.clients, *topology.rtpengines),
    }
    if word in many:
        return many[word]
    if word in many["*"]:
        return (word,)
    return tuple(name for name, node in topology.nodes.items() if word in node.groups)


def groups(topology: Topology) -> list[str]:
    """All node groups, in the order of the file."""
    return list(dict.fromkeys(group for node in topology.nodes.values() for group in node.groups))


def contradictions(topology: Topology) -> Iterator[Problem]:
    """Everything that does not fit together."""
    for check in CHECKS:
        yield from check(topology)


def _names(topology: Topology) -> Iterator[Problem]:
    taken: dict[str, str] = dict.fromkeys(WORDS, "a word of this schema")
    taken |= dict.fromkeys(groups(topology), "the name of a node group")
    for kind, names in (
        ("edges", topology.edges),
        ("nodes", topology.nodes),
        ("clients", topology.clients),
        ("nats", topology.nats),
        ("balancers", topology.balancers),
        ("databases", topology.databases),
    ):
        for name in names:
            if name in taken:
                yield Problem((kind, name), f"{name!r} is already {taken[name]}", "choose another name")
            taken[name] = f"one of {kind}"
    for name, node in topology.nodes.items():
        for word in sorted(set(node.groups) & set(WORDS)):
            where = ("nodes", name, "groups", node.groups.index(word))
            yield Problem(where, f"{word!r} is a word of this schema", "choose another name for the group")


def _addresses(topology: Topology) -> Iterator[Problem]:
    taken: dict[tuple[str, str, int], str] = {}

    def claim(where: Path, owner: str, transport: str, host: str, port: int) -> Iterator[Problem]:
        address = ("udp" if transport == "udp" else "tcp", host.lower(), port)  # TLS and WebSocket ride on TCP
        if port and address in taken:
            what = f"{transport} {host}:{port} already belongs to {taken[address]}"
            yield Problem(where, what, "give one of the two another host or port")
        taken.setdefault(address, owner)

    for edge_name, edge in topology.edges.items():
        for name, interface in edge.interfaces.items():
            where: Path = ("edges", edge_name, "interfaces", name)
            yield from claim(where, f"{edge_name}'s {name}", interface.transport, interface.host, interface.port)
            if interface.host in ("0.0.0.0", "::") and interface.advertised_host is None:
                what = f"peers cannot answer to {interface.host}"
                yield Problem((*where, "host"), what, "add advertised_host: with the address that peers reach")
    for name, node in topology.nodes.items():
        yield from claim(("nodes", name), name, node.transport, node.host, node.port)
        if node.events is not None:
            yield from claim(
                ("nodes", name, "events"), f"{name}'s event socket", "tcp", node.host, node.events.port
            )
    for name, client in topology.clients.items():
        if client.ports.stop > 65536:
            what = f"{len(client.users)} softphones from port {client.port} on reach beyond port 65535"
            yield Problem(("clients", name), what, "begin at a lower port or take fewer users")
            continue
        for port in client.ports:
            found = list(claim(("clients", name), name, client.transport, client.host, port))
            yield from found
            if found:  # one is enough for a row of softphones
                break


def _stored(topology: Topology) -> Iterator[Problem]:
    for edge_name, edge in topology.edges.items():
        for key, database in (("store", edge.store.database), ("call_records", edge.call_records.database)):
            if database is not None and database not in topology.databases:
                where: Path = ("edges", edge_name, key)
                remedy = did_you_mean(database, topology.databases)
                yield Problem(where, f"there is no database {database!r}", remedy)


def _served(topology: Topology) -> Iterator[Problem]:
    known = [*groups(topology), *topology.nodes]
    for edge_name, edge in topology.edges.items():
        for position, word in enumerate(edge.nodes):
            if word in ("*", "nodes") or word in known:
                continue
            where: Path = ("edges", edge_name, "nodes", position)
            yield Problem(
                where, f"no node is called {word!r} nor in a group of that name", did_you_mean(word, known)
            )
        for name in topology.served(edge_name):
            node = topology.nodes[name]
            if node.interface is not None and node.interface not in edge.interfaces:
                what = f"{edge_name} serves {name} and has no interface {node.interface!r}"
                yield Problem(("nodes", name, "interface"), what, did_you_mean(node.interface, edge.interfaces))
                continue
            try:
                topology.interface(edge_name, node.transport, node.interface)
            except KeyError:
                what = f"{edge_name} serves {name} over {node.transport} and has no such interface for it"
                remedy = f"add a {node.transport} interface to {edge_name} or change {name}'s transport"
                yield Problem(("nodes", name), what, remedy)


def _entries(topology: Topology) -> Iterator[Problem]:
    for name, client in topology.clients.items():
        if client.balancer is not None:
            continue  # see middlebox_checks
        for position, node in enumerate(client.nodes):
            where: Path = ("clients", name, "nodes", position)
            if node not in topology.nodes:
                yield Problem(where, f"there is no node {node!r}", did_you_mean(node, topology.nodes))
            elif topology.nodes[node].transport != client.transport:
                what = f"{node} speaks {topology.nodes[node].transport}, {name} {client.transport}"
                yield Problem(where, what, "give both the same transport")
        edge_name = client.edge or next(iter(topology.edges))
        if edge_name not in topology.edges:
            what = f"there is no edge {edge_name!r}"
            yield Problem(("clients", name, "edge"), what, did_you_mean(edge_name, topology.edges))
            continue
        interfaces = topology.edges[edge_name].interfaces
        if client.interface is not None and client.interface not in interfaces:
            what = f"{edge_name} has no interface {client.interface!r}"
            yield Problem(("clients", name, "interface"), what, did_you_mean(client.interface, interfaces))
            continue
        try:
            topology.entry(name)
        except KeyError:
            what = (
                f"{edge_name} has no {client.transport} interface {client.interface or ''}".rstrip()
                + f" for {name}"
            )
            remedy = f"add one to {edge_name} or change {name}'s transport"
            yield Problem(("clients", name), what, remedy)


def _networks(topology: Topology) -> Iterator[Problem]:
    known = [*PRESETS, *(name for name in topology.networks if name not in PRESETS)]
    named: list[tuple[Path, str]] = [
        (("clients", name, "network"), client.network)
        for name, client in topology.clients.items()
        if client.network is not None
    ]
    named += [
        (("links", position, "network"), link.network)
        for position, link in enumerate(topology.links)
        if link.network is not None
    ]
    for where, network in named:
        if network not in known:
            yield Problem(where, f"there is no network {network!r}", did_you_mean(network, known))


def _links(topology: Topology) -> Iterator[Problem]:
    for position, link in enumerate(topology.links):
        yield from _known_places(topology, ("links", position, "between"), link.between)


def _known_places(topology: Topology, where: Path, words: Iterable[str], *, only: str = "*") -> Iterator[Problem]:
    for position, word in enumerate(words):
        if not places(topology, word):
            known = [*places(topology, only), *(groups(topology) if only == "*" else ()), *WORDS]
            yield Problem((*where, position), f"there is no place {word!r}", did_you_mean(word, known))


def _scenarios(topology: Topology) -> Iterator[Problem]:
    for name, scenario in topology.scenarios.items():
        where: Path = ("scenarios", name)
        if scenario.warm_up_s >= scenario.duration_s:
            what = f"warm_up_s {scenario.warm_up_s:g} leaves nothing of duration_s {scenario.duration_s:g}"
            yield Problem((*where, "warm_up_s"), what, "make it shorter than the duration")
        yield from _traffic(topology, scenario, where)
        for position, fault in enumerate(scenario.faults):
            yield from _fault(topology, scenario, fault, (*where, "faults", position))


def _traffic(topology: Topology, scenario: Scenario, where: Path) -> Iterator[Problem]:
    for position, traffic in enumerate(scenario.traffic):
        here = (*where, "traffic", position)
        if traffic.source not in topology.clients:
            what = f"there is no client {traffic.source!r}"
            yield Problem((*here, "from"), what, did_you_mean(traffic.source, topology.clients))
        elif not topology.clients[traffic.source].lone:
            what = f"{traffic.source!r} is a client of kind {topology.clients[traffic.source].kind}"
            remedy = "let a client of kind traffic call, or give single calls as faults of kind call"
            yield Problem((*here, "from"), what, remedy)
        for step, (start_s, _) in enumerate(traffic.profile):
            if start_s >= scenario.duration_s:
                what = f"second {start_s:g} is not within duration_s {scenario.duration_s:g}"
                yield Problem((*here, "profile", step), what, "take it earlier, or lengthen the scenario")


def _fault(topology: Topology, scenario: Scenario, fault: Fault, where: Path) -> Iterator[Problem]:
    if fault.at_s > scenario.duration_s:
        what = f"{fault.kind} at second {fault.at_s:g} comes after the end, duration_s {scenario.duration_s:g}"
        yield Problem((*where, "at_s"), what, "take it earlier, or lengthen the scenario")
    match fault:
        case Partition() | Loss() | Heal() | Cut():
            yield from _known_places(topology, (*where, "between"), fault.between)
        case Reboot():
            known = [*topology.nats, *topology.balancers]
            if fault.target not in known:
                what = f"there is no NAT or balancer {fault.target!r}"
                yield Problem((*where, "target"), what, did_you_mean(fault.target, known))
        case ProcessFault() | Start() | Flap() | Slow() | LoadFault(kind="normal"):
            if fault.target not in topology.databases:
                allowed = (*topology.edges, *topology.nodes, *topology.databases, *topology.rtpengines)
                kinds = "an edge, a node, an rtpengine or a database"
                yield from _target(topology, fault.target, where, allowed, kinds)
        case Deed() | Call() | Sleep() | ChangeNetwork():
            yield from _agents(topology, fault, where)
        case Originate():
            yield from _target(topology, fault.target, where, tuple(topology.nodes), "a node")
        case LoadFault():
            yield from _target(topology, fault.target, where, tuple(topology.nodes), "a node")
        case Order():
            yield from _target(topology, fault.target, where, tuple(topology.nodes), "a node")
            for position, word in enumerate(fault.edges):
                if word != "edges" and word not in topology.edges:
                    what = f"there is no edge {word!r}"
                    yield Problem((*where, "edges", position), what, did_you_mean(word, topology.edges))
    if isinstance(fault, Flap) and fault.at_s + fault.period_s * fault.times > scenario.duration_s:
        what = f"{fault.times} times {fault.period_s:g} s from second {fault.at_s:g} on reach beyond the end"
        yield Problem((*where, "times"), what, f"lengthen duration_s {scenario.duration_s:g} or flap less often")


def _target(topology: Topology, word: str, where: Path, allowed: tuple[str, ...], sort: str) -> Iterator[Problem]:
    meant = places(topology, word)
    if not meant:
        known = [*allowed, *groups(topology)]
        yield Problem((*where, "target"), f"there is no place {word!r}", did_you_mean(word, known))
    elif wrong := [name for name in meant if name not in allowed]:
        yield Problem(
            (*where, "target"), f"{wrong[0]!r} is not {sort}", f"take one of {', '.join(allowed) or 'none'}"
        )


def _agents(topology: Topology, fault: Deed | Call | Sleep | ChangeNetwork, where: Path) -> Iterator[Problem]:
    kinds = ("browser",) if isinstance(fault, Deed) and fault.kind in _OF_TABS else ("softphone", "browser")
    allowed = [name for name, client in topology.clients.items() if client.kind in kinds]
    name, slash, user = fault.target.partition("/")
    if name not in topology.clients:
        yield Problem((*where, "target"), f"there is no client {name!r}", did_you_mean(name, allowed))
    elif name not in allowed:
        what = f"{name!r} is a client of kind {topology.clients[name].kind}, not {' or '.join(kinds)}"
        yield Problem((*where, "target"), what, f"take one of {', '.join(allowed) or 'none'}")
    elif slash and user not in topology.clients[name].users.names:
        users = topology.clients[name].users
        what = f"{name} has no user {user!r}"
        yield Problem((*where, "target"), what, f"take one of {users.first}-{users.last}")
    if isinstance(fault, ChangeNetwork):
        taken = [each.host for edge in topology.edges.values() for each in edge.interfaces.values()]
        taken += [node.host for node in topology.nodes.values()]
        taken += [client.host for client in topology.clients.values()]
        if fault.host in taken:
            what = f"{fault.host} already belongs to someone"
            yield Problem((*where, "host"), what, "give an address that nobody has")


_OF_TABS = ("close_tab", "open_tab", "hide", "show")

CHECKS: tuple[Check, ...] = (
    _names,
    _addresses,
    _served,
    _stored,
    peers.contradictions,
    _entries,
    middlebox_checks.nat_chains,
    middlebox_checks.balanced,
    middlebox_checks.addresses,
    relay_checks.relays,
    _networks,
    _links,
    _scenarios,
)
