"""The chain of timers that keeps agents reachable: expiry, connection lifetime, keep-alive, refresh load."""

from __future__ import annotations

from collections.abc import Iterator

from engine.config import EdgeConfig
from lab.findings.finding import Finding
from lab.findings.reading import callers_of, granted_s
from topologies import Topology

REGISTERS_PER_S = 1500.0
"""What one edge process should be asked for at most (`benchmarks.registrations` measures what it can do)."""

_BUSY_SHARE = 0.3  # refreshes leave the rest to calls and to storms
_SHORTEST_UDP_BINDING_S = 30.0  # home gateways, Hätönen et al., IMC 2010


def registrations(topology: Topology, config: EdgeConfig) -> Iterator[Finding]:
    """Everything between an agent's login and the call that must reach it."""
    yield from _lifetime(topology, config)
    yield from _databases(topology, config)
    yield from _tokens(config)
    yield from _bindings(config)
    yield from _load(topology, config)


def _lifetime(topology: Topology, config: EdgeConfig) -> Iterator[Finding]:
    streams = config.streams
    facing_nodes = {node.interface for node in config.nodes}
    carried = [
        interface.transport
        for interface in config.interfaces
        if interface.transport != "udp" and interface.name not in facing_nodes
    ]
    if not carried or streams.lifetime != "fixed":
        return
    granted = granted_s(topology, config)
    kinds = "/".join(dict.fromkeys(carried))
    if granted >= streams.idle_s:
        what = (
            f"a registration lasts {granted:g} s, but a {kinds} connection silent for {streams.idle_s:g} s is "
            f"closed: an agent that refreshes later is logged out without notice, and no call reaches it"
        )
        remedy = (
            f"either registrar: agent_max_expires_s: {max(int(streams.idle_s / 2), 1)}; or streams: lifetime: "
            f"above_expiry; or streams: lifetime: follows_registration"
        )
        yield Finding("breaks", config.name, what, remedy)
    elif granted + streams.margin_s > streams.idle_s:
        what = (
            f"a {kinds} connection is closed {streams.idle_s - granted:g} s after a registration of {granted:g} s "
            f"has run out: a refresh that is late by more is lost"
        )
        yield Finding("risk", config.name, what, "use streams: lifetime: follows_registration")


def _databases(topology: Topology, config: EdgeConfig) -> Iterator[Finding]:
    databases = {node.name: topology.nodes[node.name].model.database for node in config.nodes}
    apart = [name for name, database in databases.items() if database is None]
    if config.registrar.shared and len(databases) > 1 and (apart or len(set(databases.values())) > 1):
        names = ", ".join(apart or databases)
        what = f"the edge takes registrations for shared, but {names} can't see those made through other nodes"
        remedy = "set registrar: shared: false, so that agents register anew when a node dies, or share one"
        yield Finding("breaks", config.name, what, remedy)


def _tokens(config: EdgeConfig) -> Iterator[Finding]:
    if config.registrar.secret is None and config.registrar.mode != "direct" and config.nodes:
        what = "without a secret the contacts that nodes store mean nothing to the next process of this edge"
        remedy = "set registrar: secret:, or agents are unreachable after a restart until they register anew"
        yield Finding("risk", config.name, what, remedy)


def _bindings(config: EdgeConfig) -> Iterator[Finding]:
    keep_alive = config.keep_alive
    if not any(interface.transport == "udp" for interface in config.interfaces):
        return
    if keep_alive.method == "none":
        what = (
            f"no keep-alives: home gateways forget a UDP agent after {_SHORTEST_UDP_BINDING_S:g} s at the earliest"
        )
        yield Finding("risk", config.name, what, "set keep_alive: method: options")
    elif (latest := keep_alive.interval_s * (1 + keep_alive.jitter)) >= _SHORTEST_UDP_BINDING_S:
        what = (
            f"keep-alives come up to {latest:g} s apart, the quickest home gateways forget a UDP agent after "
            f"{_SHORTEST_UDP_BINDING_S:g} s"
        )
        yield Finding("risk", config.name, what, "lower keep_alive: interval_s")


def _load(topology: Topology, config: EdgeConfig) -> Iterator[Finding]:
    agents = sum(
        len(topology.clients[name].users)
        for name in callers_of(topology, config.name)
        if topology.clients[name].does_register
    )
    rate_per_s = agents / (granted_s(topology, config) / 2)  # phones refresh at half of the expiry at the earliest
    if rate_per_s > REGISTERS_PER_S * _BUSY_SHARE:
        what = (
            f"{agents} agents refresh {rate_per_s:.0f} times a second, "
            f"{rate_per_s / REGISTERS_PER_S:.0%} of what one edge process carries"
        )
        remedy = "raise registrar: agent_max_expires_s (and what the nodes grant), or add an edge"
        yield Finding("breaks" if rate_per_s > REGISTERS_PER_S else "risk", config.name, what, remedy)
