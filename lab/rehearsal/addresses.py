"""Addresses that this machine has: a topology moved onto the loopback network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final

from engine.boundary import Transport
from lab.errors import InputError
from topologies import Topology
from topologies.base import Table

_HOME: Final = "127.200.0"  # where addresses go that are not loopback ones
_HOSTS_MAX: Final = 254
# of interfaces that leave their port open: their callers must know it; on one host no two may share a TCP port
_PORTS: Final[dict[Transport, int]] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 5066, "wss": 7443}


def onto_loopback(topology: Topology, *, private: bool = False) -> Topology:
    """The topology with loopback addresses only.

    Parameters
    ----------
    topology : Topology
        As its file has it.
    private : bool
        Move all addresses to a free network of their own, not only those that are elsewhere.

    Raises
    ------
    InputError
        If there are too many addresses, or no network is free.
    """
    hosts = [host for host in _hosts(topology) if private or not _is_loopback(host)]
    if len(hosts) > _HOSTS_MAX:
        raise InputError(f"{topology.name} has {len(hosts)} addresses to move, {_HOSTS_MAX} fit - rehearse a part")
    for network in _networks() if private else (_HOME,):
        moved = _moved(topology, {host: f"{network}.{number}" for number, host in enumerate(hosts, start=1)})
        if not private or all(_is_free(*address) for address in _addresses(moved)):
            return moved
    raise InputError("no loopback network has all ports free - end some other rehearsals")


def _hosts(topology: Topology) -> dict[str, None]:
    """All hosts, each once, in the order of the file."""
    found = [each.host for edge in topology.edges.values() for each in edge.interfaces.values()]
    for edge in topology.edges.values():
        addresses = edge.relay.interfaces.values() if edge.relay is not None else ()
        found += [each.host for each in addresses if each.host is not None]
    for server in topology.rtpengines.values():
        found += [server.host, *server.media.values()]
    found += [node.host for node in topology.nodes.values()]
    found += [client.host for client in topology.clients.values()]
    return dict.fromkeys(found)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _networks() -> Iterator[str]:
    """Networks of 254 addresses each; another process begins elsewhere."""
    count = 64 * 256
    for offset in range(count):
        number = (os.getpid() * 7 + offset) % count
        yield f"127.{64 + number // 256}.{number % 256}"


def _moved(topology: Topology, to: dict[str, str]) -> Topology:
    def move(host: str) -> str:
        return to.get(host, host)

    edges = {}
    for name, edge in topology.edges.items():
        interfaces = {
            key: each.model_copy(
                update={
                    "host": move(each.host),
                    "port": each.port or _PORTS[each.transport],
                    "advertised_host": None,  # the address that others reach is not of this machine
                    "advertised_port": None,
                }
            )
            for key, each in edge.interfaces.items()
        }
        relay = edge.relay
        if relay is not None:
            addresses = {
                key: each.model_copy(
                    update={"host": None if each.host is None else move(each.host), "advertised_host": None}
                )
                for key, each in relay.interfaces.items()
            }
            servers = tuple(
                each.model_copy(
                    update={
                        "host": move(each.host),
                        "media": Table({key: move(host) for key, host in each.media.items()}),
                    }
                )
                for each in relay.rtpengine
            )
            relay = relay.model_copy(
                update={"interfaces": Table(addresses), "rtpengine": servers, "control_host": None}
            )
        edges[name] = edge.model_copy(update={"interfaces": Table(interfaces), "relay": relay})
    nodes = {name: node.model_copy(update={"host": move(node.host)}) for name, node in topology.nodes.items()}
    clients = {
        name: client.model_copy(update={"host": move(client.host)}) for name, client in topology.clients.items()
    }
    return topology.model_copy(update={"edges": Table(edges), "nodes": Table(nodes), "clients": Table(clients)})


def _addresses(topology: Topology) -> Iterable[tuple[Transport, str, int]]:
    for edge in topology.edges.values():
        for interface in edge.interfaces.values():
            yield interface.transport, interface.host, interface.port
    for node in topology.nodes.values():
        yield node.transport, node.host, node.port
    for server in topology.rtpengines.values():
        yield server.transport, server.host, server.port
    for client in topology.clients.values():
        for port in client.ports:
            yield client.transport, client.host, port


def _is_free(transport: Transport, host: str, port: int) -> bool:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
