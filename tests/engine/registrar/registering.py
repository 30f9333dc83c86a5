"""Agents that register through the edge, and nodes that accept it as FreeSWITCH does."""

from __future__ import annotations

from typing import Any

from engine.boundary import Interface
from engine.config import KeepAliveConfig, RegistrarConfig
from tests.engine.harness import EDGE, INTERFACES, Exchange, NodePeer, Peer, World
from tests.engine.wire import Wire, param, reply, uri_of

WEB = (
    *INTERFACES,
    Interface(name="ws", transport="ws", host=EDGE, port=8080),
    Interface(name="wss", transport="wss", host=EDGE, port=7443),
    Interface(name="tls", transport="tls", host=EDGE, port=5061),
)
INSTANCE = '+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
FORCED_EXPIRES_S = 180  # what FreeSWITCH grants, whatever was asked


def edge(settings: RegistrarConfig | None = None, **others: Any) -> World:
    """An edge on all transports; ``settings`` are its registrar's. It sends no keep-alives unless told to."""
    others.setdefault("interfaces", WEB)
    others.setdefault("keep_alive", KeepAliveConfig(method="none"))
    return World(registrar=settings or RegistrarConfig(), **others)


def phone(world: World, port: int = 41_000, host: str = "203.0.113.9") -> Peer:
    """A phone behind a NAT, on UDP."""
    return world.peer(host, port)


def browser(world: World, number: int = 1, interface: str = "wss") -> Peer:
    """A browser with an open connection of this number."""
    peer = world.peer("203.0.113.80", 50_000 + number, interface, number)
    peer.opens()
    return peer


def asks(peer: Peer, *contacts: str, user: str = "1000", expires: int | None = 600, **parts: Any) -> Exchange:
    """Send a REGISTER with these Contact values, by default one in a private network."""
    lines = [f"Contact: {value}" for value in contacts or ("<sip:1000@192.168.1.20:5060>",)]
    if expires is not None:
        lines.append(f"Expires: {expires}")
    lines += parts.pop("lines", [])
    parts.setdefault("to", f"<sip:{user}@{EDGE}>")
    parts.setdefault("from_", f"<sip:{user}@{EDGE}>;tag=r{user}")
    parts.setdefault("call_id", f"r-{user}-{peer.flow.peer[1]}")
    return peer.request("REGISTER", f"sip:{EDGE}", *lines, **parts)


def ask_only(peer: Peer, user: str = "1000") -> Exchange:
    """A REGISTER without Contact: which are bound?"""
    exchange = Exchange(peer, "REGISTER", f"sip:{EDGE}", to=f"<sip:{user}@{EDGE}>")
    lines = exchange.data().split(b"\r\n")
    peer.sends(b"\r\n".join(line for line in lines if not line.startswith(b"Contact")))
    return exchange


def asked(world: World) -> NodePeer:
    """The node that was sent the latest REGISTER."""
    sent = next(wire for wire in reversed(world.sent) if wire.is_request and wire.method == "REGISTER")
    return next(node for node in world.nodes if node.flow == sent.flow)


def shown(node: NodePeer) -> list[str]:
    """The Contact values of the latest REGISTER at a node."""
    return node.got("REGISTER")[-1].all("contact")


def grants(world: World, expires_s: int = FORCED_EXPIRES_S, *others: str) -> NodePeer:
    """The node asked last accepts: it lists the contacts that it was shown, and ``others``."""
    node = asked(world)
    listed = [f"<{uri_of(value)}>;expires={expires_s}" for value in shown(node) if param(value, "expires") != "0"]
    return accepts(node, *[f"Contact: {value}" for value in (*others, *listed)])


def accepts(node: NodePeer, *lines: str) -> NodePeer:
    """The node answers the latest REGISTER with 200 and these lines."""
    node.sends(reply(node.got("REGISTER")[-1], 200, *lines, tag="fs"))
    return node


def registers(peer: Peer, *contacts: str, granted_s: int = FORCED_EXPIRES_S, **parts: Any) -> Exchange:
    """Register, and be accepted."""
    exchange = asks(peer, *contacts, **parts)
    grants(peer.world, granted_s)
    return exchange


def stored(node: NodePeer) -> str:
    """The Contact URI that a node was shown last."""
    return uri_of(shown(node)[-1])


def told(exchange: Exchange) -> list[str]:
    """The Contact values of the answer to a REGISTER."""
    return exchange.final.all("contact") if "contact" in exchange.final else []


def calls(node: NodePeer, uri: str = "", *lines: str) -> Exchange:
    """The node calls a contact, by default the one it stored last."""
    return node.invite(uri or stored(node), *lines)


def last_invite(peer: Peer) -> Wire:
    return peer.got("INVITE")[-1]
