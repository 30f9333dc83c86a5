"""The doctor's own agents: two at each door of the edge, in place of the topology's clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from random import SystemRandom
from typing import Final

from engine.boundary import Address, Transport
from engine.live.errors import reason_of
from lab.errors import InputError
from sim.clients import MEDIA_PORTS, client_parts
from sim.part import AgentMedia, Part
from topologies import Topology
from topologies.base import Table
from topologies.clients import WEB_SOCKETS, Client
from topologies.nodes import UserRange
from topologies.scenarios import Scenario

LISTENS: Final = Scenario(media="streams")
"""Agents say what they do with media, whether or not there is a relay."""

_RING_DELAY_S: Final = 0.05
_ANSWER_DELAY_S: Final = 0.15
_MEDIA_PORTS: Final = range(20_000, 32_000, MEDIA_PORTS)  # below those that Linux gives out by itself


@dataclass(frozen=True, slots=True)
class Account:
    """Who may register at the nodes; ``kind`` is that of the client that it was written for."""

    user: str
    password: str
    kind: str


@dataclass(frozen=True, slots=True)
class Agent:
    """One of the doctor's agents: its machine's place, and where it knocks."""

    place: str
    user: str
    door: str  # interface of the edge
    transport: Transport
    server: Address

    @property
    def web(self) -> bool:
        """Whether it is a browser."""
        return self.transport in WEB_SOCKETS

    @property
    def kind(self) -> str:
        """As people call it."""
        return f"browser {self.user}" if self.web else f"softphone {self.user}"


def doors(topology: Topology, edge_name: str) -> list[str]:
    """The interfaces that agents talk to: those that face no node, or all where each does."""
    config = topology.edge_config(edge_name)
    inside = {topology.interface(edge_name, node.transport, node.interface).name for node in config.nodes}
    names = [name for name in topology.edges[edge_name].interfaces if name not in inside]
    names = names or list(topology.edges[edge_name].interfaces)
    return sorted(names, key=lambda name: topology.edges[edge_name].interfaces[name].transport in WEB_SOCKETS)


def with_agents(
    topology: Topology, edge_name: str, users: Sequence[str], password: str | None, *, live: bool
) -> tuple[Topology, list[Agent]]:
    """The topology with the doctor's agents for clients.

    Parameters
    ----------
    topology : Topology
        What is examined.
    edge_name : str
        The edge at whose doors they stand.
    users : sequence of str
        Who they are, two for each door in turn; empty: users of the topology's clients.
    password : str, optional
        Theirs; default: the topology's.
    live : bool
        Whether they talk from this machine's address, to a deployment that runs.

    Raises
    ------
    InputError
        If there are too few users, or one has no password.
    """
    accounts = _accounts(topology, edge_name, users, password)
    clients: dict[str, Client] = {}
    agents: list[Agent] = []
    if live:
        topology = _by_name(topology, edge_name)
    for door in doors(topology, edge_name):
        interface = topology.edges[edge_name].interfaces[door].to_engine(door)
        server = (interface.public_host, interface.public_port)
        web = interface.transport in WEB_SOCKETS
        for _ in range(2):
            account = _take(accounts, web=web, in_turn=bool(users))
            number = len(agents) + 1
            host = _local_address(server) if live else f"127.77.77.{number}"
            name = f"doctor{number}"
            clients[name] = Client(
                kind="browser" if web else "softphone",
                host=host,
                port=_free_port(host, interface.transport) if live else 5060,
                transport=interface.transport,
                edge=edge_name,
                interface=door,
                users=UserRange(first=int(account.user), last=int(account.user)),
                password=account.password,
                register_spread_s=0.0,
                ring_delay_s=_RING_DELAY_S,
                answer_delay_s=_ANSWER_DELAY_S,
            )
            agents.append(Agent(f"{name}/{account.user}", account.user, door, interface.transport, server))
    return topology.model_copy(update={"clients": Table(clients)}), agents


def live_parts(topology: Topology, media: AgentMedia) -> list[Part]:
    """The agents alone, each with media ports that are free here; the rest runs already."""
    found = []
    ports = iter(SystemRandom().sample(_MEDIA_PORTS, len(_MEDIA_PORTS)))  # another doctor may be here as well
    for name, client in topology.clients.items():
        first = next((port for port in ports if _are_free(client.host, port)), None)
        if first is None:
            raise InputError(f"{client.host} has no {MEDIA_PORTS} free UDP ports in a row - run doctor elsewhere")
        found += client_parts(topology, name, LISTENS, 0.0, first_media_port=first, media=media)
    return found


# --- who ------------------------------------------------------------------------------------------------------


def _accounts(
    topology: Topology, edge_name: str, users: Sequence[str], password: str | None
) -> dict[str, Account]:
    known = {account.user: account for account in _known(topology, edge_name)}
    if users:
        if strange := [
            user for user in users if not (user.isascii() and user.isdecimal() and user == str(int(user)))
        ]:
            raise InputError(f"user {strange[0]!r} is no number - users of a topology are numbers, such as 1000")
        nobody = [user for user in users if user not in known and password is None]
        if nobody:
            raise InputError(f"no client of {topology.name} has user {nobody[0]} - give --password-env as well")
        known = {user: known.get(user, Account(user, password or "", "")) for user in dict.fromkeys(users)}
    if password is not None:
        known = {user: Account(user, password, account.kind) for user, account in known.items()}
    needed = 2 * len(doors(topology, edge_name))
    if len(known) < needed:
        raise InputError(
            f"{edge_name} has {needed // 2} doors, so {needed} users are needed, but {len(known)} are known - "
            f"name them with --users"
        )
    return known


def _known(topology: Topology, edge_name: str) -> Iterator[Account]:
    """Users of the models come first: dict() keeps the last, and a client says more of its users than a model."""
    for name in topology.served(edge_name):
        accounts = topology.nodes[name].model.users
        for user in accounts.names:
            yield Account(user, accounts.password, "")
    for client in topology.clients.values():
        for user in client.users.names:
            yield Account(user, client.password, client.kind)


def _take(accounts: dict[str, Account], *, web: bool, in_turn: bool) -> Account:
    def fits(account: Account) -> int:
        return 0 if in_turn else 2 * (not account.kind) + ((account.kind == "browser") != web)

    found = min(accounts.values(), key=fits)  # the first of the best
    return accounts.pop(found.user)


# --- from where -----------------------------------------------------------------------------------------------


def _by_name(topology: Topology, edge_name: str) -> Topology:
    """Over TLS the edge is asked for by its domain where it has one: a certificate is for a name."""
    edge = topology.edges[edge_name]
    if not edge.domains:
        return topology
    interfaces = {
        name: each.model_copy(update={"advertised_host": edge.domains[0]})
        if each.transport in ("tls", "wss")
        else each
        for name, each in edge.interfaces.items()
    }
    edges = {**topology.edges, edge_name: edge.model_copy(update={"interfaces": Table(interfaces)})}
    return topology.model_copy(update={"edges": Table(edges)})


def _local_address(server: Address) -> str:
    """From which of our addresses the way to the server leads."""
    try:
        family, _, _, _, address = socket.getaddrinfo(*server, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise InputError(
            f"no way to {server[0]} ({reason_of(error)}) - correct the address, or DNS, or routes"
        ) from None


def _free_port(host: str, transport: Transport) -> int:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(_family(host), kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _are_free(host: str, first: int) -> bool:
    for port in range(first, first + MEDIA_PORTS):
        with socket.socket(_family(host), socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
