"""Who we are: our interfaces, what we write of them into Via and Record-Route, and what we recognise as ours."""

from __future__ import annotations

import re

from engine.boundary import Flow, Interface, Transport
from engine.sip.errors import SipError
from engine.sip.message import Request
from engine.sip.uri import SipUri, host_port

DEFAULT_PORT = 5060
_URI_SAFE = re.compile(rb"[A-Za-z0-9\-_.!~*'()+]+")  # a token may hold more than a uri-parameter


class Here:
    """The interfaces of one edge, seen as SIP sees them."""

    __slots__ = ("_addresses", "_by_address", "_by_transport", "_domains", "_record_routes", "_vias", "interfaces")

    def __init__(self, interfaces: tuple[Interface, ...], domains: tuple[str, ...]) -> None:
        self.interfaces = {interface.name: interface for interface in interfaces}
        self._domains = {domain.lower() for domain in domains}
        self._by_address: dict[tuple[str, int, str], Interface] = {}
        self._by_transport: dict[str, Interface] = {}
        self._addresses: dict[str, bytes] = {}
        self._vias: dict[str, bytes] = {}
        self._record_routes: dict[str, bytes] = {}
        for interface in interfaces:
            self._by_transport.setdefault(interface.transport, interface)
            for host, port in (
                (interface.host, interface.port),
                (interface.public_host, interface.public_port),
            ):
                self._by_address.setdefault((host.lower(), port, interface.transport), interface)
            public = self._addresses[interface.name] = host_port(interface.public_host, interface.public_port)
            transport = b"" if interface.transport == "udp" else b";transport=" + interface.transport.encode()
            self._vias[interface.name] = b"Via: SIP/2.0/%s %s;branch=" % (
                interface.transport.upper().encode(),
                public,
            )
            self._record_routes[interface.name] = b"<sip:" + public + transport + b";lr"

    def interface_of(self, uri: SipUri) -> Interface | None:
        """The interface that this URI means, None where it isn't ours. A domain means the first interface."""
        host = uri.host_text
        transport = (uri.params.get(b"transport") or b"udp").decode("ascii", "replace").lower()
        found = self._by_address.get((host, uri.port or DEFAULT_PORT, transport))
        if found is None and host in self._domains and uri.port in (None, DEFAULT_PORT):
            found = next(iter(self.interfaces.values()))
        return found

    def sent_by(self, host: str, port: int | None, transport: str) -> bool:
        """Whether a Via with this sent-by is ours."""
        return (host.lower(), port or DEFAULT_PORT, transport.lower()) in self._by_address

    def address(self, interface: str) -> bytes:
        """``host:port`` of this interface, as peers are told it."""
        return self._addresses[interface]

    def via(self, interface: str, branch: bytes) -> bytes:
        """The Via line for a request that leaves by this interface."""
        return self._vias[interface] + branch

    def record_route(self, request: Request, came_in: str, goes_out: str, name: bytes = b"Record-Route") -> None:
        """Put us into the route set of the dialog: once for each side where the sides differ (double RR).

        The upper one faces the callee, the lower one the caller; each side so sends to the interface that it can
        reach, and the edge learns from the two on which one the other side stands (RFC 5658). ``ftag`` tells
        the caller's requests from the callee's. Path (RFC 3327) is written in the same way.
        """
        tag = request.from_.tag if name == b"Record-Route" else b""
        tag = b";ftag=" + tag if _URI_SAFE.fullmatch(tag) else b""
        header = name.lower().decode()
        if came_in == goes_out:
            request.add_first(header, name + b": " + self._record_routes[came_in] + tag + b">")
        else:
            end = b";r2=on" + tag + b">"
            request.add_first(header, name + b": " + self._record_routes[came_in] + end)
            request.add_first(header, name + b": " + self._record_routes[goes_out] + end)

    def flow_to(self, uri: SipUri, by: str = "") -> Flow:
        """The way to a URI, leaving by the interface ``by`` where its transport fits, else by the first that does.

        Raises
        ------
        SipError
            503 where no interface of ours speaks the transport that the URI asks for.
        """
        transport = (uri.params.get(b"transport") or b"udp").decode("ascii", "replace").lower()
        interface = self.interfaces.get(by)
        if interface is None or interface.transport != transport:
            interface = self._by_transport.get(transport)
        if interface is None or uri.scheme == b"sips":
            raise SipError(f"no interface for {'sips' if uri.scheme == b'sips' else transport}", 503)
        maddr = uri.params.get(b"maddr")
        host = uri.host_text if maddr is None else maddr.decode("ascii", "replace").strip("[]")
        return Flow(interface.name, (host, uri.port or DEFAULT_PORT))

    def interface_for(self, transport: Transport, name: str | None) -> Interface:
        """The interface by which a node is reached: the named one, else the first of the transport."""
        interface = self.interfaces.get(name) if name else self._by_transport.get(transport)
        if interface is None:
            raise ValueError(f"no interface {name or 'of transport ' + transport!r}")
        return interface
