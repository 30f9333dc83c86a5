"""Who has which address: the ports that hosts have bound, names that resolve, and the place of each IP address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from engine.boundary import Address, Input, Interface, Transport


class Receiver(Protocol):
    """What the network needs of a host."""

    @property
    def place(self) -> str: ...

    @property
    def alive(self) -> bool:
        """Whether a process has the ports open; where none has, the kernel answers by ICMP."""
        ...

    @property
    def prompt(self) -> bool:
        """Whether the process runs and takes what comes at once."""
        ...

    def admits(self, size_bytes: int) -> bool:
        """Whether the socket buffer takes a datagram of this size."""
        ...

    def receive(self, event: Input) -> None: ...

    def when_running(self, work: Callable[[], None]) -> None:
        """Let the process do what it does without asking its machine: hand-shakes, Pongs. The dead do nothing."""
        ...


@lru_cache(maxsize=65_536)  # asked of the same few hosts for each packet that no cached route is for
def is_literal(host: str) -> bool:
    """Whether this is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Port:
    """One interface of one host, bound unless it only connects."""

    __slots__ = ("address", "datagram", "host", "interface", "listens", "name", "transport")

    def __init__(self, host: Receiver, interface: Interface) -> None:
        self.host = host
        self.interface = interface
        self.name = interface.name
        self.transport: Transport = interface.transport
        self.datagram = interface.transport == "udp"
        self.address: Address = (interface.host, interface.port)
        if not is_literal(interface.host):
            raise ValueError(f"{self}: {interface.host!r} is not an IP address - give one, names are for peers")
        self.listens = interface.listens or self.datagram
        if interface.port == 0 and self.listens:
            raise ValueError(f"{self}: port 0 means nothing in a simulation - give the port")
        if ip_address(interface.host).is_unspecified:
            # What leaves a wildcard socket has an address all the same: the one that peers are told.
            if interface.advertised_host is None:
                raise ValueError(f"{self}: binds every address - advertise the one that peers are to use")
            self.address = (interface.public_host, interface.public_port)

    def __str__(self) -> str:
        return f"interface {self.name} of {self.host.place}"


class Addresses:
    """The address book of the network."""

    def __init__(self) -> None:
        self._ports: dict[tuple[Transport, Address], Port] = {}
        self._places: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._deserted: set[Address] = set()

    def bind(self, host: Receiver, interfaces: Iterable[Interface]) -> dict[str, Port]:
        """Take the interfaces' addresses, bound and advertised, for ``host``; ports by interface name.

        Raises ValueError for a wildcard that advertises nothing, for port 0, and where an address is taken.
        """
        ports: dict[str, Port] = {}
        for interface in interfaces:
            port = Port(host, interface)
            if port.name in ports:
                raise ValueError(f"{port}: there are two of that name - rename one")
            public = (interface.public_host, interface.public_port)
            for address in dict.fromkeys((port.address, public)) if port.listens else ():
                other = self._ports.setdefault((port.transport, address), port)
                if other is not port:
                    where = f"{port.transport} {address[0]}:{address[1]}"
                    raise ValueError(f"{port}: {where} is taken by {other} - change one of them")
            for name in (port.address[0], interface.public_host):
                self._places.setdefault(name, host.place)
            ports[port.name] = port
        return ports

    def move(self, port: Port, host: str) -> None:
        """Give a port another IP address; what has this address already keeps it. Nobody has the old one then."""
        old = port.address
        if port.listens:
            self._ports.pop((port.transport, old), None)
            self._deserted.add(old)
        port.address = (host, old[1])
        if port.listens:
            self._deserted.discard(port.address)
            self._ports.setdefault((port.transport, port.address), port)
        self._places.setdefault(host, port.host.place)

    def deserted(self, address: Address) -> bool:
        """Whether somebody had this address, and went away from it."""
        return address in self._deserted

    def settle(self, host: str, place: str) -> None:
        """Let a middlebox's IP address, without ports of its own, be at a place; ValueError where it is taken."""
        if (other := self._places.setdefault(host, place)) != place:
            raise ValueError(f"{place}: {host} is taken by {other} - change one of them")

    def name(self, name: str, host: str) -> None:
        """Let ``name`` resolve to the IP address ``host``."""
        self._names[name] = host

    def resolve(self, peer: Address) -> Address | None:
        """The peer with its IP address in place of a name; None for a name that nobody has."""
        host = self._names.get(peer[0])
        if host is not None:
            return (host, peer[1])
        return peer if is_literal(peer[0]) else None

    def port(self, transport: Transport, address: Address) -> Port | None:
        return self._ports.get((transport, address))

    def place(self, host: str) -> str:
        """The place that has this IP address, or "" where none has."""
        return self._places.get(host, "")
