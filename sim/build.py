"""From a topology to its machines.

``parts`` is the one way in which modelled peers and edges are made; simulation and rehearsal both take it.
"""

from __future__ import annotations

import dataclasses
from random import Random
from typing import TypeAlias

from engine.boundary import Interface
from engine.config import EdgeConfig, PolicyConfig
from engine.edge import Edge, EdgeSettings
from engine.policies.loading import load_policy
from engine.policy import Policy
from sim.addresses import is_literal
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig, Registrations
from sim.clients import client_parts
from sim.host import Birth
from sim.part import Part
from topologies import Topology
from topologies.scenarios import Scenario

PolicyChoice: TypeAlias = str | Policy | type[Policy] | None
"""What routes instead of the edges' own policies: a name as in a topology, a policy's class, of which each start
of each edge makes its own, or the policy itself, which all of them share; None: their own."""

NODE_INTERFACE = "sip"


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
        found += client_parts(topology, name, scenario, duration_s)
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
        ping_s=model.ping_s,
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
