"""What all worlds do to a topology before they run it, so that each of them runs the same thing."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

from engine.config import EdgeConfig, NodeConfig, PolicyConfig
from lab.errors import InputError
from topologies import Topology
from topologies.base import Table


def with_policy(topology: Topology, use: str | None) -> Topology:
    """The topology with another policy at all edges; None leaves each its own.

    An edge that uses this policy already keeps its options.
    """
    if use is None:
        return topology
    edges = {
        name: edge
        if edge.policy.use == use
        else edge.model_copy(update={"policy": PolicyConfig(use=use, options=Table())})
        for name, edge in topology.edges.items()
    }
    return topology.model_copy(update={"edges": Table(edges)})


def with_addresses(config: EdgeConfig) -> EdgeConfig:
    """An edge's settings with the names of its nodes looked up: the edge knows its nodes by address.

    Raises
    ------
    InputError
        If a name does not resolve to an address that the edge's interface can reach.
    """
    families = {each.name: _family(each.host) for each in config.interfaces}
    defaults = {each.transport: _family(each.host) for each in reversed(config.interfaces)}
    return replace(
        config,
        nodes=tuple(
            _with_address(node, families.get(node.interface or "", defaults.get(node.transport)))
            for node in config.nodes
        ),
    )


def with_secrets(config: EdgeConfig) -> EdgeConfig:
    """An edge's settings with the passwords that its file only says where to find.

    Raises
    ------
    InputError
        If a variable is not set, or a file cannot be read.
    """
    api = config.api
    if api is not None and (token := read_secret("api", api.token_env, api.token_file)) is not None:
        api = replace(api, token=token)
    return replace(config, nodes=tuple(_with_password(node) for node in config.nodes), api=api)


def _with_password(node: NodeConfig) -> NodeConfig:
    events = node.events
    if events is None:
        return node
    secret = read_secret(f"node {node.name}: events", events.password_env, events.password_file)
    return node if secret is None else replace(node, events=replace(events, password=secret))


def read_secret(where: str, variable: str | None, file: str | None) -> str | None:
    """A secret from the environment, or else from a file; None where neither is named.

    Raises
    ------
    InputError
        If there is none in the place named; ``where`` says who wants it.
    """
    if variable:
        if not (value := os.environ.get(variable)):
            raise InputError(f"{where}: the environment variable {variable} is not set - set it, or name a file")
        return value
    if not file:
        return None
    try:
        value = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not text"
        raise InputError(f"{where}: cannot read {file}: {reason.lower()} - correct the path") from None
    if not value or "\n" in value:
        raise InputError(f"{where}: {file} is to hold one line, the secret")
    return value


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _with_address(node: NodeConfig, family: socket.AddressFamily | None) -> NodeConfig:
    try:
        found = socket.getaddrinfo(node.host, node.port, family or socket.AF_UNSPEC, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a host name"
        raise InputError(
            f"node {node.name}: {node.host!r} does not resolve ({reason.lower()}) - correct its host, "
            "or write its IP address"
        ) from None
    return replace(node, host=str(found[0][4][0]))
