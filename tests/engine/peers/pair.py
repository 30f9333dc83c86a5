"""Two edges before one pool of nodes, on one wire: what one sends to the other arrives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.boundary import Datagram, Effect, Flow, Interface, Pong, Send
from engine.config import KeepAliveConfig, PeerConfig, RegistrarConfig
from tests.engine.harness import Peer, World
from tests.engine.registrar.registering import FORCED_EXPIRES_S
from tests.engine.wire import Wire, reply, uri_of

SECRET = "known to both edges"
EDGES = (("10.0.0.1", 5060), ("10.0.0.2", 5060), ("10.0.0.3", 5060))
"""Where they talk to each other."""


def interfaces(number: int) -> tuple[Interface, ...]:
    """Of edge1 or edge2: for phones, for browsers, and towards nodes and other edges."""
    outside, inside = f"192.0.2.{number}", f"10.0.0.{number}"
    return (
        Interface(name="outside", transport="udp", host=outside, port=5060),
        Interface(name="wss", transport="wss", host=outside, port=7443),
        Interface(name="inside", transport="udp", host=inside, port=5060),
    )


class Wired(World):
    """An edge that a pair has in its hands. ``others`` hear what it sends to their addresses."""

    def __init__(self, number: int, **settings: Any) -> None:
        self.which = number
        self.others: list[Wired] = []
        self.deaf = False
        self.between: list[Wire] = []  # what it sent to other edges
        peers = tuple(
            PeerConfig(name=f"edge{n}", interfaces=interfaces(n), interface="inside", by="inside")
            for n in settings.pop("edges", (1, 2))
            if n != number
        )
        settings.setdefault("registrar", RegistrarConfig(secret=SECRET, flow_wait_s=0.0))
        super().__init__(
            nodes=("FS1",),
            interfaces=interfaces(number),
            keep_alive=KeepAliveConfig(method="none"),
            seed=number,
            name=f"edge{number}",
            peers=peers,
            **settings,
        )

    def _do(self, effects: Sequence[Effect]) -> None:
        between = [each for each in effects if isinstance(each, Send) and each.flow.peer in EDGES]
        super()._do([each for each in effects if each not in between])
        pinged, self.pinged = self.pinged, []
        for _, flow in pinged:
            self.happen(Pong(flow))
        for send in between:
            wire = Wire(send.data, send.flow, self.now)
            self.between.append(wire)
            known = self._peers.get((send.flow.interface, send.flow.peer, 0))
            if known is not None:  # a test speaks for the other edge
                known.receive(wire)
            for other in self.others:
                if not other.deaf and wire.flow.peer == EDGES[other.which - 1]:
                    other.now = max(other.now, self.now)
                    other.happen(Datagram(Flow("inside", EDGES[self.which - 1]), wire.data))


class Pair:
    """Two edges, one FreeSWITCH that both know, and agents that choose."""

    def __init__(self, **settings: Any) -> None:
        self.one, self.two = Wired(1, **settings), Wired(2, **settings)
        self.one.others, self.two.others = [self.two], [self.one]

    def part(self, apart: bool = True) -> None:
        """Let neither hear the other any more, or again."""
        self.one.deaf = self.two.deaf = apart

    def advance(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.one.advance(0.1)
            self.two.advance(0.1)


def browser(edge: World, number: int = 1) -> Peer:
    """A browser on a connection of its own to an edge."""
    peer = edge.peer("203.0.113.80", 50_000 + number, "wss", number)
    peer.opens()
    return peer


def registers(peer: Peer, contact: str = "<sip:x@a.invalid;transport=ws>", cseq: int = 1) -> str:
    """Register at an edge; the result is the Contact URI that the node stores."""
    world = peer.world
    exchange = peer.request(
        "REGISTER",
        "sip:192.0.2.1",
        f'Contact: {contact};+sip.instance="<urn:uuid:f81d4fae>"',
        "Expires: 600",
        to="<sip:1000@192.0.2.1>",
        from_="<sip:1000@192.0.2.1>;tag=r",
        call_id="reg",
        cseq=cseq,
    )
    node = world.node("FS1")
    asked = node.got("REGISTER")[-1]
    stored = [f"Contact: <{uri_of(each)}>;expires={FORCED_EXPIRES_S}" for each in asked.all("contact")]
    node.sends(reply(asked, 200, *stored, tag="fs"))
    assert exchange.statuses[-1] == 200
    return uri_of(asked["contact"])
