"""The machines of nodes: modelled FreeSWITCH."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from random import Random
from types import MappingProxyType

from engine.boundary import Interface
from sim.addresses import is_literal
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig, Outcome, Registrations
from sim.host import Birth
from sim.part import MODELLED, AgentMedia, Part
from topologies import Topology

NODE_INTERFACE = "sip"
EVENTS_INTERFACE = "events"
NOTHING_RECORDED: Mapping[bytes, Outcome] = MappingProxyType({})


def node_host(topology: Topology, name: str) -> str:
    """The IP address of a node's model: its own, or one of the loopback network where the topology has a name."""
    host = topology.nodes[name].host
    if is_literal(host):
        return host
    number = list(topology.nodes).index(name)
    return f"127.254.{number // 250}.{number % 250 + 1}"


def node_part(
    topology: Topology,
    name: str,
    databases: dict[str, Registrations],
    outcomes: Mapping[bytes, Outcome] = NOTHING_RECORDED,
    *,
    talks: bool = False,
    media: AgentMedia = MODELLED,
) -> Part:
    """One modelled FreeSWITCH; ``databases`` are those that nodes share, by name, made as they are met.

    ``outcomes`` are those of recorded calls, by Call-ID.
    """
    node = topology.nodes[name]
    model = node.model
    interface = Interface(
        name=NODE_INTERFACE, transport=node.transport, host=node_host(topology, name), port=node.port
    )
    events = None
    if node.events is not None:
        events = Interface(name=EVENTS_INTERFACE, transport="tcp", host=interface.host, port=node.events.port)
    config = FreeSwitchConfig(
        name=name,
        interfaces=(interface,),
        events=events,
        events_password=node.events.password if node.events else "",
        domain=model.domain or node.host,
        users=model.users.names,
        password=model.users.password,
        auth=model.auth,
        trusted=_edge_hosts(topology, name) if model.trusts_edges else (),
        media_webrtc=model.media_webrtc,
        media_host=model.media_host or "",
        ping_s=model.ping_s,
        version=model.version,
        max_sessions=model.max_sessions,
        force_expires_s=model.force_expires_s,
        startup_s=model.startup_s,
        reply_delay_s=model.reply_delay_s,
        ring_delay_s=model.ring_delay_s,
        answer_delay_s=model.answer_delay_s,
        outcomes=outcomes,
        talks=talks,
        certificate=media.certificate,
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

    interfaces = (interface, events) if events else (interface,)
    return Part(place=name, name=name, role="node", interfaces=interfaces, make=make)


def _edge_hosts(topology: Topology, node_name: str) -> tuple[str, ...]:
    """From where the edges that serve a node talk to it."""
    node = topology.nodes[node_name]
    return tuple(
        topology.interface(edge, node.transport, node.interface).host
        for edge in topology.edges
        if node_name in topology.served(edge)
    )
