"""Who we are: our interfaces, what we write of them into Via, Route and Contact, and what we recognise as ours."""

from __future__ import annotations

from typing import Final

from engine.boundary import Flow, Interface, Transport
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request
from engine.sip.uri import SipUri, host_port, parse_uri

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
"""RFC 3261 §19.1.2, RFC 7118 §8.2: the ports that are meant where a URI or Via names none."""

MARK: Final = b"did"
"""The parameter of our Record-Routes that shows for which call they were made (``engine.registrar.tokens``)."""

# Octets of a token that may stand in a uri-parameter too
URI_SAFE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()+"
# RFC 7118 §8 registers ws alone as a transport of URIs; whether it runs over TLS is seen at host and port.
_IN_URI: Final = {"udp": b"", "tcp": b";transport=tcp", "tls": b";transport=tls", "ws": b";transport=ws"}
_IN_URI["wss"] = _IN_URI["ws"]
# What a sips URI makes of a transport (RFC 3261 §26.2.2, RFC 7118 §5.3)
_SECURED: Final = {"udp": "tls", "tcp": "tls", "ws": "wss"}
_ALTERNATIVE: Final = {"ws": "wss", "wss": "ws"}


class Here:
    """The interfaces of one edge, seen as SIP sees them."""

    __slots__ = ("_addresses", "_by_address", "_by_transport", "_domains", "_vias", "interfaces")

    def __init__(self, interfaces: tuple[Interface, ...], domains: tuple[str, ...]) -> None:
        self.interfaces = {interface.name: interface for interface in interfaces}
        self._domains = {domain.lower() for domain in domains}
        self._by_address: dict[tuple[str, int, str], Interface] = {}
        self._by_transport: dict[str, Interface] = {}
        self._vias: dict[str, bytes] = {}
        self._addresses: dict[str, bytes] = {}
        for interface in interfaces:
            self._by_transport.setdefault(interface.transport, interface)
            for host, port in (
                (interface.host, interface.port),
                (interface.public_host, interface.public_port),
            ):
                self._by_address.setdefault((host.lower(), port, interface.transport), interface)
            self._addresses[interface.name] = address = host_port(interface.public_host, interface.public_port)
            self._vias[interface.name] = b"Via: SIP/2.0/%s %s;branch=" % (
                interface.transport.upper().encode(),
                address,
            )

    # --- what is ours

    def interface_of(self, uri: SipUri) -> Interface | None:
        """The interface that this URI means, None where it isn't ours. A domain means the first interface."""
        host = uri.host_text
        transport = transport_of(uri)
        found = self._by_address.get((host, uri.port or DEFAULT_PORTS.get(transport, 5060), transport))
        if found is None and transport in _ALTERNATIVE:
            other = _ALTERNATIVE[transport]
            found = self._by_address.get((host, uri.port or DEFAULT_PORTS[other], other))
        if found is None and host in self._domains and uri.port in (None, 5060):
            found = next(iter(self.interfaces.values()))
        return found

    def asked_at(self, uri: SipUri, interface: str) -> bool:
        """Whether a URI that came in by this interface means it, whatever transport the URI says, or doesn't.

        Who asks an address over TCP whether it lives (balancers, sipsak) often writes the address alone.
        """
        here = self.interfaces[interface]
        address = (uri.host_text, uri.port or DEFAULT_PORTS[here.transport])
        return address in ((here.host.lower(), here.port), (here.public_host.lower(), here.public_port))

    def beyond(self, routes: list[bytes], before: int = 0) -> list[bytes]:
        """What of a route set lies behind us; ``before`` of its routes lie between us and who it belongs to."""
        index = before
        while index < len(routes):
            uri = parse_uri(parse_name_addr(routes[index], "Route").uri)
            if self.interface_of(uri) is None:
                break
            index += 1
        return routes[index:]

    def sent_by(self, host: str, port: int | None, transport: str) -> bool:
        """Whether a Via with this sent-by is ours."""
        transport = transport.lower()
        return (host.lower(), port or DEFAULT_PORTS.get(transport, 5060), transport) in self._by_address

    # --- what we write

    def via(self, interface: str, branch: bytes) -> bytes:
        """The Via line for a request that leaves by this interface."""
        return self._vias[interface] + branch

    def address(self, interface: str) -> bytes:
        """``host:port`` of this interface, as peers are told it."""
        return self._addresses[interface]

    def uri(self, interface: str, user: bytes = b"") -> bytes:
        """The URI of this interface, as peers are told it."""
        at = user + b"@" if user else b""
        return uri_at(at + self._addresses[interface], self.interfaces[interface].transport)

    def record_route(
        self,
        request: Request,
        came_in: str,
        goes_out: str,
        caller: bytes = b"",
        callee: bytes = b"",
        mark: bytes = b"",
    ) -> None:
        """Put us into the route set of the dialog: once for each side where the sides differ (double RR).

        The upper one faces the callee, the lower one the caller; each side so sends to the interface that it can
        reach, and the edge learns from the two on which one the other side stands (RFC 5658). ``caller`` and
        ``callee`` are tokens of the flows on which these are reached, where they are (RFC 5626 §5.2); they tell
        the two sides apart on one interface too. ``ftag`` tells the caller's requests from the callee's, and
        ``mark`` the call that this is made for.
        """
        tag = request.from_.tag
        tag = b";ftag=" + tag if tag and not tag.translate(None, URI_SAFE) else b""
        if mark:
            tag += b";" + MARK + b"=" + mark
        if came_in == goes_out and not caller and not callee:
            request.add_first("record-route", b"Record-Route: <" + self.uri(came_in) + b";lr" + tag + b">")
        else:
            end = b";lr;r2=on" + tag + b">"
            request.add_first("record-route", b"Record-Route: <" + self.uri(came_in, caller) + end)
            request.add_first("record-route", b"Record-Route: <" + self.uri(goes_out, callee) + end)

    # --- where we send

    def flow_to(self, uri: SipUri, by: str = "") -> Flow:
        """The way to a URI, leaving by the interface ``by`` where its transport fits, else by the first that does.

        Raises
        ------
        SipError
            503 where no interface of ours speaks the transport that the URI asks for.
        """
        transport = transport_of(uri)
        interface = self.interfaces.get(by)
        if interface is None or interface.transport != transport:
            interface = self._by_transport.get(transport)
        if interface is None:
            raise SipError(f"no interface for {transport}", 503)
        maddr = uri.params.get(b"maddr")
        host = uri.host_text if maddr is None else maddr.decode("ascii", "replace").strip("[]")
        return Flow(interface.name, (host, uri.port or DEFAULT_PORTS.get(transport, 5060)))

    def interface_for(self, transport: Transport, name: str | None) -> Interface:
        """The interface by which a node is reached: the named one, else the first of the transport."""
        interface = self.interfaces.get(name) if name else self._by_transport.get(transport)
        if interface is None:
            raise ValueError(f"no interface {name or 'of transport ' + transport!r}")
        return interface


def uri_at(place: bytes, transport: str) -> bytes:
    """The URI that means ``place``, a host and port perhaps with a user part before them, over a transport."""
    return b"sip:" + place + _IN_URI[transport]


def transport_of(uri: SipUri) -> str:
    """The transport that a URI asks for, in lower case; for ``sips`` the one over TLS."""
    value = uri.params.get(b"transport")
    transport = "udp" if value is None else value.decode("ascii", "replace").lower()
    return _SECURED.get(transport, transport) if uri.scheme == b"sips" else transport


def port_of(uri: SipUri) -> int:
    """The port that a URI means."""
    return uri.port or DEFAULT_PORTS.get(transport_of(uri), 5060)
