"""Two agents who speak through a node, as FreeSWITCH connects them: the caller's INVITE, and the node's own."""

from __future__ import annotations

from typing import Any

from engine.config import RegistrarConfig, RescueConfig
from engine.media.rules import Port
from tests.engine.harness import EDGE, Exchange, NodePeer, Peer, World
from tests.engine.media.relay import read
from tests.engine.media.test_media_edge import NODE, RELAY
from tests.engine.media.written import BARESIP
from tests.engine.registrar.registering import WEB, registers, stored
from tests.engine.wire import Wire

MARK = "x-siptwin-leg"
ONE, OTHER = ("198.51.100.7", 5060), ("203.0.113.9", 41_000)


def rescuing(others: str = "end", **settings: Any) -> World:
    """An edge with a relay, which rescues."""
    settings.setdefault("interfaces", WEB)
    settings.setdefault("registrar", RegistrarConfig())
    rescue = RescueConfig(others=others)  # type: ignore[arg-type]
    return World(relay=RELAY, rescue=rescue, **settings)


class Conversation:
    """A (1000) has called B (1001), who is registered; both legs are answered and acknowledged."""

    def __init__(
        self,
        world: World,
        *,
        marked: bool = True,
        browser: bool = False,
        body: bytes = BARESIP,
        body_of_a: bytes | None = None,
        body_of_b: bytes | None = None,
        lines: tuple[str, ...] = (),
        agreed: str = "",
        agreed_by_b: str = "",
        b: Peer | None = None,
        acknowledged: bool = True,
        allow: str = "INVITE, ACK, BYE, CANCEL, UPDATE",
    ) -> None:
        """``agreed`` is a header of the node's 2xx to A, who allows the methods of ``allow``; so is
        ``agreed_by_b`` of B's to the node, which may die before it has acknowledged that. ``b`` is B where it is
        registered."""
        self.world = world
        self.a = world.peer(ONE[0], 50_000, "wss", stream=7) if browser else world.peer(*ONE)
        if browser:
            self.a.opens()
        if b is None:
            b = world.peer(*OTHER)
            registers(b, user="1001")
        self.b = b
        contact = stored(world.called("REGISTER"))
        body_of_a = body if body_of_a is None else body_of_a
        self.call = self.a.invite(f"sip:1001@{EDGE}", f"Allow: {allow}", *lines, body=body_of_a)
        self.node: NodePeer = world.called()
        self.asked = self.node.got("INVITE")[-1]
        copied = (f"X-Siptwin-Leg: {self.asked[MARK]}",) if marked else ()
        self.leg = Exchange(self.node, "INVITE", contact, *copied, body=NODE if body else b"")
        self.leg.send()
        self.invited: Wire = self.b.got("INVITE")[-1]
        self.b.replies(self.invited, 200, agreed_by_b, tag=self.b.tag_for(self.invited), body=body_of_b or body)
        if acknowledged:
            self.leg.ack()
        self.node.answer(200, agreed, body=NODE if body else b"")
        self.call.ack()

    @property
    def ports(self) -> tuple[Port, Port]:
        """Ours towards A and towards B."""
        found = [read(wire.body).address for wire in (self.call.final, self.invited)]
        return tuple(Port("public", address[1]) for address in found if address is not None)  # type: ignore[return-value]

    def dies(self) -> None:
        """The node's process is killed: its port answers no more."""
        self.node.alive = False
        self.node.unreachable()


def in_dialog(peer: Peer, method: str) -> list[Wire]:
    """The requests of a method that a peer got, each once."""
    return list({wire["cseq"]: wire for wire in peer.got(method)}.values())
