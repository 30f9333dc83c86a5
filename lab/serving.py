"""One edge in production: built from its file, and built again when the file changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from time import monotonic, time

from engine.boundary import Interface, Level, Machine, Note, Reconfigure
from engine.config import EdgeConfig
from engine.edge import Edge, EdgeSettings, needs_restart
from engine.live.control import default_path
from engine.live.host import MachineFactory
from engine.live.serve import serve
from engine.live.store import Store
from engine.policies import load_policy
from lab.databases import open_database
from lab.deployment import with_addresses, with_policy, with_secrets
from lab.errors import InputError
from topologies import Topology, load
from topologies.errors import did_you_mean


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
        self._secret: str | None = None  # of the flow tokens, as the store keeps it
        self._bound: tuple[Interface, ...] = ()
        self.store: Store | None = None

    def read(self) -> EdgeSettings:
        """Read the file, look up its names and secrets, load its policy.

        Raises
        ------
        TopologyError, PolicyError, InputError
            With what is wrong; nothing has changed then.
        """
        return self._settings(self._topology())

    def _topology(self) -> Topology:
        return with_policy(load(self._source), self._policy)

    def _settings(self, topology: Topology) -> EdgeSettings:
        config = with_secrets(with_addresses(topology.edge_config(pick_edge(topology, self._edge_name))))
        return EdgeSettings(config, load_policy(config.policy))

    def build(self) -> tuple[MachineFactory, Sequence[Interface]]:
        """The edge's maker and its interfaces, for `engine.live.serve.serve`."""
        topology = self._topology()
        config, policy = self._settings(topology)
        self._config = config
        if config.store.database is not None:
            self.store = Store(open_database(topology, config.store.database), config.store, config.name)
            self._secret = self.store.open() or None
        config = self._with_secret(config)

        def make(bound: Mapping[str, Interface]) -> Machine:
            self._bound = tuple(bound[each.name] for each in config.interfaces)
            settings = EdgeSettings(replace(config, interfaces=self._bound), policy)
            return Edge(settings, SystemRandom(), self._notes_from, wall_offset_s=time() - monotonic())

        return make, config.host_interfaces

    def _with_secret(self, config: EdgeConfig) -> EdgeConfig:
        """Settings with the store's key of the flow tokens, where the file gives none."""
        if config.registrar.secret is not None:
            return config
        return replace(config, registrar=replace(config.registrar, secret=self._secret))

    def reload(self) -> tuple[Reconfigure, Sequence[Interface]]:
        """The settings and interfaces as the file has them now.

        Raises
        ------
        TopologyError, PolicyError, InputError
            With what is wrong, or what cannot change while the edge runs.
        """
        config, policy = self.read()
        if self._config is not None and (reason := needs_restart(self._config, config)):
            raise InputError(f"{self._source}: {reason} - the old settings stay in force")
        self._config = config
        return Reconfigure(EdgeSettings(replace(config, interfaces=self._bound), policy)), config.host_interfaces
        settings = EdgeSettings(replace(self._with_secret(config), interfaces=self._bound), policy)
        return Reconfigure(settings), config.interfaces


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
        serving.reload,
        on_note=on_note,
        control_path=control_path,
        grace_s=grace_s,
        store=serving.store,
    )
