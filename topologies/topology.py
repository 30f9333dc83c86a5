"""The topology as a whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, PrivateAttr, model_validator

from engine.boundary import Address, Interface, Transport
from engine.config import EdgeConfig
from topologies import checks
from topologies.base import Section, Table
from topologies.clients import Client
from topologies.databases import Database
from topologies.edges import Edge
from topologies.errors import ContradictionError, Problem, TopologyError, did_you_mean
from topologies.links import PRESETS, Link, LinkQuality
from topologies.middleboxes import Balancer, Listener, Nat
from topologies.nodes import Node
from topologies.opensips import OpenSipsSource, out_of_nodes
from topologies.peers import peer_config, peers_of
from topologies.rtpengines import Rtpengine
from topologies.scenarios import Scenario


class Topology(Section):
    """One deployment: what is simulated, rehearsed and served.

    A topology is frozen and consistent: whoever holds one need not check it again. Read one with
    `topologies.load`; building one by hand raises pydantic's ``ValidationError`` where it makes no sense.
    """

    name: str = Field(default="", description="What it is called; default: the name of its file.")
    description: str = Field(default="", description="What it is for.")
    edges: Table[Edge] = Field(min_length=1, description="siptwin's own processes, by name.")
    nodes: Table[Node] = Field(default=Table(), description="FreeSWITCH nodes, by name.")
    opensips: OpenSipsSource = Field(
        default=None, description="Nodes that stand in OpenSIPS' tables; may be written as nodes: {opensips: URL}."
    )
    databases: Table[Database] = Field(default=Table(), description="What keeps records of edges, by name.")
    clients: Table[Client] = Field(default=Table(), description="Callers, softphones and browsers, by name.")
    nats: Table[Nat] = Field(default=Table(), description="NATs that clients are behind, by name.")
    balancers: Table[Balancer] = Field(default=Table(), description="Load balancers before edges, by name.")
    networks: Table[LinkQuality] = Field(default=Table(), description="Kinds of network, besides lan and wan.")
    links_default: LinkQuality = Field(default=LinkQuality(), description="Links of which nothing else is said.")
    links: tuple[Link, ...] = Field(default=(), description="Links that differ.")
    scenarios: Table[Scenario] = Field(default=Table(), description="What can be run, by name.")

    _source_path: Path | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _sources(cls, given: Any) -> Any:
        return out_of_nodes(given)

    @model_validator(mode="after")
    def _consistent(self) -> Topology:
        if problems := list(checks.contradictions(self)):
            raise ContradictionError(problems)
        return self

    def __repr__(self) -> str:
        counted = ((len(self.edges), "edges"), (len(self.nodes), "nodes"), (len(self.clients), "clients"))
        told = ", ".join(f"{count} {kind if count != 1 else kind[:-1]}" for count, kind in counted)
        return f"<Topology {self.name}: {told}>"

    __str__ = __repr__

    @property
    def source_path(self) -> Path | None:
        """The file that it was read from."""
        return self._source_path

    @property
    def _base(self) -> Path | None:
        """Where relative paths count from."""
        return self._source_path.parent if self._source_path else None

    def read_from(self, path: Path | None) -> Topology:
        """The same topology, with its file noted."""
        copy = self.model_copy()
        copy._source_path = path
        return copy

    # --- for those who build a world from it --------------------------------------------------------------

    def edge_config(self, edge_name: str) -> EdgeConfig:
        """The settings of one edge, in the engine's own form.

        Raises
        ------
        KeyError
            If there is no such edge.
        """
        edge = self.edges[edge_name]
        return EdgeConfig(
            name=edge_name,
            interfaces=tuple(each.to_engine(name, self._base) for name, each in edge.interfaces.items()),
            nodes=tuple(self.nodes[name].to_engine(name, self._base) for name in self.served(edge_name)),
            policy=edge.policy,
            timers=edge.timers,
            probe=edge.probe,
            passive=edge.passive,
            limits=edge.limits,
            registrar=edge.registrar,
            streams=edge.streams,
            keep_alive=edge.keep_alive,
            rescue=edge.rescue,
            relay=None if edge.relay is None else edge.relay.to_engine(edge.interfaces),
            store=edge.store,
            peers=tuple(peer_config(self, edge_name, name) for name in peers_of(self, edge_name)),
            api=edge.api_from(self._base),
            health=edge.health,
            call_records=edge.call_records_from(self._base),
            homer=edge.homer,
            domains=edge.domains,
            min_session_expires_s=edge.min_session_expires_s,
            dialog_lifetime_s=edge.dialog_lifetime_s,
        )

    def media_mode(self, scenario: Scenario | None) -> str:
        """How much of the media a scenario looks at: none, streams or packets."""
        if scenario is None:
            return "none"
        relayed = any(edge.relay is not None for edge in self.edges.values())
        return scenario.media or ("streams" if relayed else "none")

    @property
    def rtpengines(self) -> dict[str, Rtpengine]:
        """All that the edges' relays use, by name; edges may share them."""
        found: dict[str, Rtpengine] = {}
        for edge in self.edges.values():
            if edge.relay is not None:
                found |= edge.relay.rtpengines
        return found

    def served(self, edge_name: str) -> tuple[str, ...]:
        """The nodes that an edge serves, in the order of the file."""
        wanted = {node for word in self.edges[edge_name].nodes for node in self.places(word)}
        return tuple(name for name in self.nodes if name in wanted)

    def interface(self, edge_name: str, transport: Transport, name: str | None = None) -> Interface:
        """An edge's interface by name, or its first one of that transport.

        Raises
        ------
        KeyError
            If the edge has no such interface.
        """
        for interface_name, interface in self.edges[edge_name].interfaces.items():
            if interface.transport == transport and name in (None, interface_name):
                return interface.to_engine(interface_name, self._base)
        raise KeyError(f"{edge_name} has no {transport} interface {name or ''}".rstrip())

    def entry(self, client_name: str) -> tuple[str, Interface]:
        """The edge that a client talks to, or the first behind its balancer, and the interface of that edge."""
        client = self.clients[client_name]
        listener = self.listener(client_name)
        if client.balancer is not None and listener is not None:
            edge_name = self.edges_behind(client.balancer)[0]
            return edge_name, self.interface(edge_name, listener.transport, listener.interface)
        edge_name = client.edge or next(iter(self.edges))
        return edge_name, self.interface(edge_name, client.transport, client.interface)

    def server(self, client_name: str) -> Address:
        """The address that a client talks to: a balancer's, or its edge's."""
        balancer, listener = self.clients[client_name].balancer, self.listener(client_name)
        if balancer is not None and listener is not None:
            return (self.balancers[balancer].host, listener.port)
        _, entry = self.entry(client_name)
        return (entry.public_host, entry.public_port)

    def listener(self, client_name: str) -> Listener | None:
        """The listener of the balancer that a client talks to; None where there is none."""
        client = self.clients[client_name]
        balancer = self.balancers.get(client.balancer or "")
        for name, listener in balancer.listeners.items() if balancer else ():
            if listener.transport == client.transport and client.interface in (None, name):
                return listener
        return None

    def edges_behind(self, balancer_name: str) -> tuple[str, ...]:
        """The edges behind a balancer, in the order of the file."""
        words = self.balancers[balancer_name].edges
        return tuple(name for name in self.edges if name in words or "edges" in words)

    def without_middleboxes(self) -> Topology:
        """The same without NATs and balancers: their clients talk to the edge, or the first one, themselves."""
        clients = {
            name: client.model_copy(
                update={
                    "behind": (),
                    "balancer": None,
                    "edge": self.entry(name)[0],
                    "interface": self._plain(name),
                }
            )
            for name, client in self.clients.items()
        }
        return self.model_copy(update={"clients": Table(clients), "nats": Table(), "balancers": Table()})

    def _plain(self, client_name: str) -> str | None:
        listener = self.listener(client_name)
        return listener.interface if listener else self.clients[client_name].interface

    def places(self, word: str) -> tuple[str, ...]:
        """The edges, nodes and clients that a word means: a name, a group, edges, nodes, clients or ``*``.

        Empty where it means nothing.
        """
        return checks.places(self, word)

    def network(self, name: str) -> LinkQuality:
        """A network by name; ``networks`` may redefine ``lan`` and ``wan``."""
        return self.networks[name] if name in self.networks else PRESETS[name]

    def link(self, one: str, other: str) -> LinkQuality:
        """What lies between two places, each an edge, a node or a client.

        First the network that a client of the two names, else ``links_default``; over it each entry of ``links``
        that names the two, in order. Of two clients the second one's network counts.
        """
        quality = self.links_default
        for place in (one, other):
            if place in self.clients and (network := self.clients[place].network):
                quality = self.network(network)
        for link in self.links:
            first, second = (self.places(word) for word in link.between)
            if (one in first and other in second) or (one in second and other in first):
                quality = link.over(self.network(link.network) if link.network else quality)
        return quality

    @property
    def default_scenario(self) -> str | None:
        """The scenario that runs when none is asked for: ``default``, else the first; None where there is none."""
        return "default" if "default" in self.scenarios else next(iter(self.scenarios), None)

    def scenario(self, name: str | None = None) -> Scenario:
        """A scenario by name, or the default one.

        Raises
        ------
        TopologyError
            If there is no such scenario.
        """
        wanted = name or self.default_scenario
        if wanted is None:
            raise self._error("the topology has no scenario", "add one under scenarios:")
        if wanted not in self.scenarios:
            raise self._error(f"there is no scenario {wanted!r}", did_you_mean(wanted, self.scenarios))
        return self.scenarios[wanted]

    def _error(self, what: str, remedy: str) -> TopologyError:
        return TopologyError(
            str(self.source_path or self.name or "topology"), [Problem(("scenarios",), what, remedy)]
        )

    # --- as text, and as a number -------------------------------------------------------------------------

    def to_yaml(self) -> str:
        """The topology as YAML that loads to an equal one: what differs from the defaults, without comments."""
        plain = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)

    def fingerprint(self) -> str:
        """SHA-256 over the whole content, defaults included; comments, spelling and order of keys don't count.

        The order of edges, nodes, interfaces and scenarios does: the first one is the default.
        """
        return hashlib.sha256(json.dumps(self._canonical(), ensure_ascii=True).encode()).hexdigest()

    def _canonical(self) -> Any:
        # Keys of sections come in the schema's order whatever the file's; keys of tables keep the file's.
        return self.model_dump(mode="json", by_alias=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topology) and self.fingerprint() == other.fingerprint()

    def __hash__(self) -> int:
        return hash(self.fingerprint())
