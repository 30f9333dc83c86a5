"""One edge in production: built from its file, and built again when the file changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import SystemRandom
from time import monotonic, time
from typing import Any

from pydantic import ValidationError

from engine.boundary import Interface, Level, Machine, Note, Reconfigure
from engine.changes import needs_restart
from engine.config import ApiConfig, EdgeConfig, HealthConfig, HomerConfig
from engine.edge import Edge, EdgeSettings
from engine.live.control import default_path
from engine.live.host import MachineFactory
from engine.live.records import CsvSink, Sink, SqlSink
from engine.live.relay.certificate import Certificate, new_certificate
from engine.live.relay.hosting import PlaneMaker, plane_for, port_check, shown
from engine.live.serve import serve
from engine.live.settings import LiveSettings
from engine.live.source import Change
from engine.live.store import Store
from engine.live.store.schema import check
from engine.live.tls import read_tls
from engine.policies import load_policy
from engine.policy import Policy
from lab.databases import open_database
from lab.deployment import with_addresses, with_policy, with_secrets
from lab.errors import InputError
from lab.opensips import with_opensips
from topologies import Topology, load
from topologies.errors import did_you_mean
from topologies.nodes import Node


class Serving:
    """Where an edge's settings come from.

    Parameters
    ----------
    source : str
        A topology file, or the name of a packaged topology.
    edge_name : str, optional
        Which edge; default: the first.
    policy : str, optional
        Instead of the edge's own.
    notes_from : Level, optional
        The least level of what the edge tells.
    """

    def __init__(
        self,
        source: str,
        edge_name: str | None = None,
        policy: str | None = None,
        notes_from: Level = Level.DEBUG,
    ) -> None:
        self._source = source
        self._edge_name = edge_name
        self._policy = policy
        self._notes_from = notes_from
        self._config: EdgeConfig | None = None
        self._routes: Policy | None = None
        self.fingerprint = ""
        self._secret: str | None = None  # of the flow tokens, as the store keeps it
        self._bound: tuple[Interface, ...] = ()
        self._live_settings = LiveSettings()
        self.store: Store | None = None
        self.sinks: list[Sink] = []
        self.media: PlaneMaker | None = None
        self._certificate: Certificate | None = None

    def read(self) -> EdgeSettings:
        """Read the file, look up its names and secrets, load its policy.

        Raises
        ------
        TopologyError, PolicyError, InputError
            With what is wrong; nothing has changed then.
        """
        return self._settings(self._topology())

    def _topology(self) -> Topology:
        return with_policy(with_opensips(load(self._source)), self._policy)

    def _settings(self, topology: Topology) -> EdgeSettings:
        config = with_secrets(with_addresses(topology.edge_config(pick_edge(topology, self._edge_name))))
        return EdgeSettings(config, load_policy(config.policy))

    def build(self) -> tuple[MachineFactory, Sequence[Interface]]:
        """The edge's maker and its interfaces, for `engine.live.serve.serve`."""
        topology = self._topology()
        config, policy = self._settings(topology)
        self._config, self._routes, self.fingerprint = config, policy, topology.fingerprint()
        self._live_settings = LiveSettings(connections=config.limits.stream_connections)
        if config.store.database is not None:
            self.store = Store(open_database(topology, config.store.database), config.store, config.name)
            self._secret = self.store.open() or None
        self.sinks = list(_sinks(topology, config))
        if config.relay is not None and config.relay.rtpengine is None:
            self._certificate = new_certificate()
            self.media = plane_for(config.relay, self._certificate)
        config = self._with_certificate(self._with_secret(config))

        def make(bound: Mapping[str, Interface]) -> Machine:
            self._bound = tuple(bound[each.name] for each in config.interfaces)
            settings = EdgeSettings(replace(config, interfaces=self._bound), policy)
            edge = Edge(settings, SystemRandom(), self._notes_from, wall_offset_s=time() - monotonic())
            if self.media is not None and config.relay is not None:
                edge.ask_for_ports(port_check(config.relay))
            return edge

        return make, config.host_interfaces

    def _with_secret(self, config: EdgeConfig) -> EdgeConfig:
        """Settings with the store's key of the flow tokens, where the file gives none."""
        if config.registrar.secret is not None:
            return config
        return replace(config, registrar=replace(config.registrar, secret=self._secret))

    def _with_certificate(self, config: EdgeConfig) -> EdgeConfig:
        """Settings that name the certificate of the relay's DTLS, which is made anew at each start."""
        if config.relay is None or self._certificate is None:
            return config
        return replace(config, relay=shown(config.relay, self._certificate))

    @property
    def live_settings(self) -> LiveSettings:
        """The host's bounds, which stay; of connections it takes as many as the edge did at the start."""
        return self._live_settings

    # --- engine.live.source.Source

    @property
    def edge(self) -> str:
        """The edge's name."""
        return self._config.name if self._config is not None else ""

    @property
    def api(self) -> ApiConfig | None:
        """Where its API is."""
        return self._config.api if self._config is not None else None

    @property
    def health(self) -> HealthConfig | None:
        """Where its health is told."""
        return self._config.health if self._config is not None else None

    @property
    def homer(self) -> HomerConfig | None:
        """Where signalling is sent."""
        return self._config.homer if self._config is not None else None

    def reload(self) -> Change:
        """The settings and interfaces as the file has them now.

        Raises
        ------
        TopologyError, PolicyError, InputError
            With what is wrong, or what cannot change while the edge runs.
        """
        topology = self._topology()
        config, policy = self._settings(topology)
        if self._config is not None and (reason := needs_restart(self._config, config)):
            raise InputError(f"{self._source}: {reason} - the old settings stay in force")
        if (most := config.limits.stream_connections) > self.live_settings.connections:
            reason = f"limits.stream_connections raised to {most}, more than at the start, which takes a restart"
            raise InputError(f"{self._source}: {reason} - the old settings stay in force")
        change = self._change(config, policy)
        self.fingerprint = topology.fingerprint()
        return change

    def add_node(self, node: Mapping[str, Any]) -> Change:
        """The settings in force with one node more, which the next reload forgets.

        Raises
        ------
        InputError
            If it cannot be reached from here.
        """
        assert self._config is not None
        assert self._routes is not None
        fields = dict(node)
        name = fields.pop("name")
        try:
            added = Node.model_validate(fields).to_engine(name)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise InputError(f"node {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        fitting = [each.name for each in self._config.interfaces if each.transport == added.transport]
        if added.interface not in (None, *fitting) or not fitting:
            known = ", ".join(fitting) or "none"
            raise InputError(f"node {name}: no {added.transport} interface {added.interface} - there are {known}")
        config = replace(self._config, nodes=(*self._config.nodes, added))
        change = self._change(with_addresses(config), self._routes)
        self.fingerprint = sha256(f"{self.fingerprint} {added!r}".encode()).hexdigest()
        return change

    def _change(self, config: EdgeConfig, policy: Policy) -> Change:
        read_tls(config.host_interfaces)  # a certificate that cannot be read is refused with all the rest
        self._config, self._routes = config, policy
        config = self._with_certificate(self._with_secret(config))
        settings = EdgeSettings(replace(config, interfaces=self._bound), policy)
        return Reconfigure(settings), config.host_interfaces


def _sinks(topology: Topology, config: EdgeConfig) -> Iterator[Sink]:
    """Where call records go."""
    if config.call_records.csv is not None:
        yield CsvSink(Path(config.call_records.csv))
    if config.call_records.database is not None:
        database = open_database(topology, config.call_records.database)
        check(database)
        yield SqlSink(database, config.name)


def pick_edge(topology: Topology, name: str | None) -> str:
    """The edge of that name, or the first one.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name is None:
        return next(iter(topology.edges))
    if name not in topology.edges:
        raise InputError(f"{topology.name} has no edge {name!r} - {did_you_mean(name, topology.edges)}")
    return name


def default_control() -> Path | None:
    """The usual control socket, or None where its directory is not ours to write to."""
    path = default_path()
    nearest = next(parent for parent in path.parents if parent.exists())
    return path if os.access(nearest, os.W_OK | os.X_OK) else None


async def serve_edge(
    serving: Serving, *, on_note: Callable[[Note, float], None], control_path: Path | None, grace_s: float
) -> None:
    """Serve until a signal ends it; see `engine.live.serve.serve`."""
    built = serving.build()
    await serve(
        lambda: built,
        serving,
        on_note=on_note,
        settings=serving.live_settings,
        control_path=control_path,
        grace_s=grace_s,
        store=serving.store,
        sinks=serving.sinks,
        media=serving.media,
    )
