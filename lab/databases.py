"""The databases of a topology, opened."""

from __future__ import annotations

from engine.live.store import Database
from lab.deployment import read_secret
from lab.errors import InputError
from topologies import Topology
from topologies.errors import did_you_mean


def open_database(topology: Topology, name: str | None = None) -> Database:
    """A database of a topology by name, or its first one.

    Raises
    ------
    InputError
        If there is none, or its password cannot be found.
    LiveError
        If its URL makes no sense, or its driver is missing.
    """
    known = topology.databases
    wanted = next(iter(known), "") if name is None else name
    if wanted not in known:
        remedy = (
            did_you_mean(wanted, known) if wanted else "add one under databases:, and name it as an edge's store:"
        )
        raise InputError(f"{topology.name} has no database {wanted!r}".replace(" ''", "") + f" - {remedy}")
    section = known[wanted]
    base = topology.source_path.parent if topology.source_path else None
    password = read_secret(f"database {wanted}", section.password_env, section.password_file)
    return Database(section.located(wanted, base), password)
