"""From a topology to its machines and to what befalls them.

``parts`` is the one way in which modelled peers and edges are made; simulation and rehearsal both take it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

from engine.boundary import Interface, Machine
from engine.config import EdgeConfig, PolicyConfig
from engine.edge import Edge, EdgeSettings
from engine.policies.loading import load_policy
from engine.policy import Policy
from sim.addresses import is_literal
from sim.agents.arrivals import Arrivals
from sim.agents.durations import Duration
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig, Registrations
from sim.agents.phones import PhonesConfig
from sim.agents.softphone import Softphone
from sim.agents.traffic import Load, Traffic
from sim.faults import BoxFault, Fault, NodeFault, PathFault, ProcessFault, flap
from sim.host import Birth
from topologies import Topology
from topologies import faults as given
from topologies.scenarios import Scenario, Spread
from topologies.scenarios import Traffic as Calls

Maker: TypeAlias = Callable[[Birth, Random], Machine]

PolicyChoice: TypeAlias = str | Policy | type[Policy] | None
"""What routes instead of the edges' own policies: a name as in a topology, a policy's class, of which each start
of each edge makes its own, or the policy itself, which all of them share; None: their own."""

NODE_INTERFACE = "sip"
CLIENT_INTERFACE = "sip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One machine of a topology: its place, its addresses, and how it is made at each start of its process.

    ``name`` is what the topology calls it; a client of several softphones has a part for each.
    """

    place: str
    name: str
    role: Literal["edge", "node", "client"]
    interfaces: tuple[Interface, ...]
    make: Maker


def parts(
    topology: Topology, scenario: Scenario | None, policy: PolicyChoice = None, *, duration_s: float = 0.0
) -> list[Part]:
    """All machines of a topology: nodes, edges, clients, in the order in which they start.

    Parameters
    ----------
    topology
        What is built.
    scenario
        Whose traffic the clients make; none: they make none.
    policy
        Instead of the edges' own.
    duration_s
        New calls begin for so long, in seconds from the start.

    Raises
    ------
    PolicyError
        If a policy cannot be loaded.
    """
    databases: dict[str, Registrations] = {}
    found = [_node(topology, name, databases) for name in topology.nodes]
    found += [_edge(topology, name, policy) for name in topology.edges]
    for name in topology.clients:
        found += _client(topology, name, scenario, duration_s)
    return found


def policy_of(config: PolicyConfig, policy: PolicyChoice) -> Policy:
    """The policy that an edge runs: the one given, else its own. Its own name keeps the options."""
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, type):
        return policy()
    if policy is not None and policy != config.use:
        config = PolicyConfig(use=policy)
    return load_policy(config)


# --- machines -----------------------------------------------------------------------------------------------


def _edge(topology: Topology, name: str, policy: PolicyChoice) -> Part:
    config = edge_config(topology, name)

    def make(_birth: Birth, rng: Random) -> Edge:
        return Edge(EdgeSettings(config, policy_of(config.policy, policy)), rng)

    return Part(place=name, name=name, role="edge", interfaces=config.interfaces, make=make)


def edge_config(topology: Topology, name: str) -> EdgeConfig:
    """An edge's settings with the nodes' names resolved to the addresses of their models."""
    config = topology.edge_config(name)
    nodes = tuple(dataclasses.replace(node, host=node_host(topology, node.name)) for node in config.nodes)
    return dataclasses.replace(config, nodes=nodes)


def node_host(topology: Topology, name: str) -> str:
    """The IP address of a node's model: its own, or one of the loopback network where the topology has a name."""
    host = topology.nodes[name].host
    if is_literal(host):
        return host
    number = list(topology.nodes).index(name)
    return f"127.254.{number // 250}.{number % 250 + 1}"


def _node(topology: Topology, name: str, databases: dict[str, Registrations]) -> Part:
    node = topology.nodes[name]
    model = node.model
    interface = Interface(
        name=NODE_INTERFACE, transport=node.transport, host=node_host(topology, name), port=node.port
    )
    config = FreeSwitchConfig(
        name=name,
        interfaces=(interface,),
        domain=model.domain or node.host,
        users=model.users.names,
        password=model.users.password,
        auth=model.auth,
        trusted=_edge_hosts(topology, name) if model.trusts_edges else (),
        media_webrtc=model.media_webrtc,
        version=model.version,
        max_sessions=model.max_sessions,
        force_expires_s=model.force_expires_s,
        startup_s=model.startup_s,
        reply_delay_s=model.reply_delay_s,
        ring_delay_s=model.ring_delay_s,
        answer_delay_s=model.answer_delay_s,
    )
    up_already = dataclasses.replace(config, startup_s=0.0)
    shared = None if model.database is None else databases.setdefault(model.database, Registrations())
    disk = Registrations()

    def make(birth: Birth, rng: Random) -> FreeSwitch:
        nonlocal disk
        if shared is not None:
            disk = shared
        elif not birth.keep_data:
            disk = Registrations()
        # A scenario begins with nodes that run; only what is started within it takes its time.
        return FreeSwitch(config if birth.number else up_already, rng, disk)

    return Part(place=name, name=name, role="node", interfaces=(interface,), make=make)


def _edge_hosts(topology: Topology, node_name: str) -> tuple[str, ...]:
    """From where the edges that serve a node talk to it."""
    node = topology.nodes[node_name]
    return tuple(
        topology.interface(edge, node.transport, node.interface).host
        for edge in topology.edges
        if node_name in topology.served(edge)
    )


def _client(topology: Topology, name: str, scenario: Scenario | None, duration_s: float) -> list[Part]:
    client = topology.clients[name]
    edge_name, entry = topology.entry(name)
    users = client.users.names
    lone = client.kind == "traffic"
    loads = [_load(calls, duration_s) for calls in scenario.traffic if calls.source == name] if scenario else []
    found = []
    for port, group in zip(client.ports, [users] if lone else [(user,) for user in users], strict=True):
        place = name if lone else f"{name}/{group[0]}"
        config = PhonesConfig(
            name=place,
            interface=Interface(name=CLIENT_INTERFACE, transport=client.transport, host=client.host, port=port),
            server=topology.server(name),
            domain=next(iter(topology.edges[edge_name].domains), entry.public_host),
            users=group,
            password=client.password,
            registers=client.does_register,
            expires_s=client.expires_s,
            ring_delay_s=client.ring_delay_s,
            answer_delay_s=client.answer_delay_s,
        )
        make = _traffic_maker(config, loads) if lone else _softphone_maker(config)
        found.append(Part(place=place, name=name, role="client", interfaces=(config.interface,), make=make))
    return found


def _traffic_maker(config: PhonesConfig, loads: Sequence[Load]) -> Maker:
    return lambda _birth, rng: Traffic(config, loads, rng)


def _softphone_maker(config: PhonesConfig) -> Maker:
    return lambda _birth, rng: Softphone(config, rng)


def _load(calls: Calls, duration_s: float) -> Load:
    arrivals = Arrivals(law=calls.arrivals, rate_per_s=calls.rate_per_s or 0.0, profile=calls.profile)
    return Load(
        to=calls.numbers,
        arrivals=arrivals,
        hold=_duration(calls.hold_s),
        patience=_duration(calls.patience_s),
        calls=calls.calls,
        ends_s=duration_s,
    )


def _duration(spread: Spread) -> Duration:
    return Duration(
        distribution=spread.distribution,
        mean=spread.mean or 0.0,
        deviation=spread.deviation,
        low=spread.low or 0.0,
        high=spread.high or 0.0,
    )


# --- faults -------------------------------------------------------------------------------------------------


def faults_of(topology: Topology, scenario: Scenario, all_parts: Sequence[Part]) -> list[Fault]:
    """What befalls the world of these parts, in the order of the file."""

    def places(word: str) -> tuple[str, ...]:
        names = topology.places(word)
        return tuple(part.place for part in all_parts if part.name in names)

    found: list[Fault] = []
    for fault in scenario.faults:
        at_s = fault.at_s
        if isinstance(fault, given.Flap):
            found += flap(at_s, places(fault.target), fault.period_s, fault.times)
        elif isinstance(fault, (given.Partition, given.Loss, given.Heal, given.Cut)):
            found.append(_path_fault(fault, *map(places, fault.between)))
        elif isinstance(fault, given.Reboot):
            found.append(BoxFault(at_s=at_s, target=fault.target))
        elif isinstance(fault, given.Order):
            found += _orders(topology, fault)
        else:
            found.append(
                ProcessFault(
                    at_s=at_s,
                    kind=fault.kind,
                    targets=places(fault.target),
                    delay_s=fault.delay_s if isinstance(fault, given.Slow) else 0.0,
                    keep_data=isinstance(fault, given.Start) and fault.keep_registrations,
                )
            )
    return found


def _path_fault(
    fault: given.Partition | given.Loss | given.Heal | given.Cut, places: tuple[str, ...], others: tuple[str, ...]
) -> PathFault:
    return PathFault(
        at_s=fault.at_s,
        kind=fault.kind,
        places=places,
        others=others,
        one_way=isinstance(fault, given.Partition) and fault.one_way,
        share=fault.share if isinstance(fault, given.Loss) else 0.0,
        silent=isinstance(fault, given.Cut) and fault.silent,
    )


def _orders(topology: Topology, fault: given.Order) -> list[Fault]:
    """One for each node, to those of the edges that serve it."""
    edges = [edge for word in fault.edges for edge in topology.places(word)]
    found: list[Fault] = []
    for node in topology.places(fault.target):
        serving = tuple(edge for edge in dict.fromkeys(edges) if node in topology.served(edge))
        found.append(NodeFault(at_s=fault.at_s, kind=fault.kind, nodes=(node,), edges=serving))
    return found
