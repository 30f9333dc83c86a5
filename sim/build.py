"""From a topology to its machines.

``parts`` is the one way in which modelled peers and edges are made; simulation and rehearsal both take it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from hashlib import sha256
from random import Random
from types import MappingProxyType
from typing import Final, TypeAlias

from engine.boundary import Interface
from engine.config import RELAYS, EdgeConfig, PolicyConfig
from engine.edge import Edge, EdgeSettings
from engine.media.sdp.attributes import Fingerprint
from engine.policies.loading import load_policy
from engine.policy import Policy
from sim.agents.freeswitch import Registrations
from sim.clients import client_parts
from sim.host import Birth
from sim.nodes import NOTHING_RECORDED, node_host, node_part
from sim.part import MODELLED, AgentMedia, Part
from sim.recorded import Recorded
from sim.relays import rtpengine_part
from topologies import Topology
from topologies.scenarios import Scenario

_CONTROL_PORT: Final = 22_222  # from which edges order rtpengines about

PolicyChoice: TypeAlias = str | Policy | type[Policy] | None
"""What routes instead of the edges' own policies: a name as in a topology, a policy's class, of which each start
of each edge makes its own, or the policy itself, which all of them share; None: their own."""


def parts(
    topology: Topology,
    scenario: Scenario | None,
    policy: PolicyChoice = None,
    *,
    duration_s: float = 0.0,
    recorded: Recorded | None = None,
    fingerprints: Mapping[str, str] = MappingProxyType({}),
    media: AgentMedia = MODELLED,
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
    recorded
        Agents that play their parts of a recording; they come besides the topology's clients.
    fingerprints
        Of the certificates that the edges' relays have, by edge; default: modelled ones.
    media
        Of the modelled agents.

    Raises
    ------
    PolicyError
        If a policy cannot be loaded.
    """
    databases: dict[str, Registrations] = {}
    outcomes = NOTHING_RECORDED if recorded is None else recorded.outcomes
    talks = topology.media_mode(scenario) != "none"
    found = [node_part(topology, name, databases, outcomes, talks=talks, media=media) for name in topology.nodes]
    found += [rtpengine_part(topology, name, fingerprints.get(name, "")) for name in topology.rtpengines]
    found += [_edge(topology, name, policy, fingerprints.get(name, "")) for name in topology.edges]
    for name in topology.clients:
        found += client_parts(topology, name, scenario, duration_s, media=media)
    return found if recorded is None else found + recorded.parts()


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


def _edge(topology: Topology, name: str, policy: PolicyChoice, fingerprint: str) -> Part:
    config = edge_config(topology, name)
    if config.relay is not None and fingerprint:
        config = dataclasses.replace(config, relay=dataclasses.replace(config.relay, fingerprint=fingerprint))

    def make(_birth: Birth, rng: Random) -> Edge:
        return Edge(EdgeSettings(config, policy_of(config.policy, policy)), rng)

    built_in = config.relay is not None and config.relay.rtpengine is None
    return Part(
        place=name,
        name=name,
        role="edge",
        interfaces=tuple(_with_port(each) for each in config.host_interfaces),
        make=make,
        store=config.store,
        relay=config.relay if built_in else None,
    )


def _with_port(interface: Interface) -> Interface:
    """A simulated socket has the port that it is given."""
    asks_rtpengines = interface.name.startswith(RELAYS) and interface.transport == "udp"
    return dataclasses.replace(interface, port=_CONTROL_PORT) if asks_rtpengines else interface


def edge_config(topology: Topology, name: str) -> EdgeConfig:
    """An edge's settings with the nodes' names resolved to the addresses of their models."""
    config = topology.edge_config(name)
    if config.relay is not None:  # a modelled hand-shake needs no key behind it
        certificate = Fingerprint(b"sha-256", sha256(name.encode()).digest())
        relay = dataclasses.replace(config.relay, fingerprint=bytes(certificate).decode("ascii"))
        config = dataclasses.replace(config, relay=relay)
    nodes = tuple(dataclasses.replace(node, host=node_host(topology, node.name)) for node in config.nodes)
    registrar = config.registrar
    if config.store.database is not None and registrar.secret is None:
        # As ``lab.serving`` has it: the key of the tokens is kept where the records are.
        registrar = dataclasses.replace(registrar, secret=f"kept in the database {config.store.database}")
    return dataclasses.replace(config, nodes=nodes, registrar=registrar)
