"""A world of one browser and one server that says as little as a registrar must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

from engine.boundary import (
    NEVER,
    AgentOrder,
    Close,
    Effect,
    Flow,
    Input,
    Interface,
    Note,
    Send,
    StreamClosed,
    StreamData,
    StreamOpened,
)
from engine.sip.framing import parse_datagram
from engine.sip.message import Request, Response
from engine.ua.parts import block, reply
from sim.agents.browser import Browser, BrowserConfig
from sim.agents.phones import PhonesConfig
from sim.faults import NetworkFault, PathFault, ProcessFault
from sim.links import Link
from sim.world import World

SERVER = ("127.0.0.1", 5066)
N = TypeVar("N", bound=Note)


class Server:
    """Challenges each REGISTER, then grants ``grants_s``, or says ``refuses``. Orders: ``say TEXT``, ``close``."""

    def __init__(self) -> None:
        self.now = 0.0
        self.grants_s = 180
        self.refuses: tuple[int, bytes] | None = None
        self.open: list[Flow] = []
        self.heard: list[tuple[float, Request | Response | bytes]] = []

    def start(self, now: float) -> Sequence[Effect]:
        return ()

    def tick(self, now: float) -> Sequence[Effect]:
        return ()

    def deadline(self) -> float:
        return NEVER

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if isinstance(event, StreamOpened):
            self.open.append(event.flow)
        elif isinstance(event, StreamClosed):
            self.open.remove(event.flow)
        elif isinstance(event, AgentOrder):
            if event.order == "close":
                return (Close(self.open[-1]),)
            return (Send(self.open[-1], event.argument.encode()),)
        elif isinstance(event, StreamData):
            message = parse_datagram(event.data)
            self.heard.append((now, message or event.data))
            if isinstance(message, Request):
                return [Send(event.flow, bytes(answer)) for answer in self._answers(message)]
        return ()

    def _answers(self, request: Request) -> list[Response]:
        if request.method == b"ACK":
            return []
        if request.method != b"REGISTER":
            return [reply(request, 200, b"far")]
        if "authorization" not in request.names:
            challenge = block(b'WWW-Authenticate: Digest realm="lab.test", nonce="n", qop="auth"')
            return [reply(request, 401, b"far", challenge)]
        if self.refuses:
            status, line = self.refuses
            return [reply(request, status, b"far", block(line))]
        contact = request.values("contact")[0].partition(b";expires=")[0]
        return [reply(request, 200, b"far", block(b"Contact: " + contact + b";expires=%d" % self.grants_s))]

    def requests(self, method: bytes) -> list[tuple[float, Request]]:
        return [(now, each) for now, each in self.heard if isinstance(each, Request) and each.method == method]

    def statuses(self) -> list[int]:
        return [each.status for each in self.responses()]

    def responses(self) -> list[Response]:
        return [each for _, each in self.heard if isinstance(each, Response)]


class Room:
    """The browser at ``browser``, the server at ``server``, 5 ms apart."""

    def __init__(
        self, *, seed: int = 3, transport: str = "ws", phones: dict[str, Any] | None = None, **settings: Any
    ):
        usual = PhonesConfig(
            name="browser",
            interface=Interface(name="web", transport=transport, host="127.0.3.1", port=0, listens=False),
            server=SERVER,
            domain="lab.test",
            users=("1000",),
            expires_s=600,
        )
        config = BrowserConfig(phones=replace(usual, **(phones or {})), **settings)
        self.world = World(seed, record="all")
        self.server = Server()
        self.browser = Browser(config, Random(seed))
        self.world.add(
            "server",
            lambda _: self.server,
            [Interface(name="ws", transport=transport, host=SERVER[0], port=SERVER[1])],
        )
        self.world.add("browser", lambda _: self.browser, [config.phones.interface])
        self.world.link("browser", "server", Link(latency_ms=5))

    def run(self, until_s: float) -> None:
        self.world.run(until_s)

    def order(self, order: str, argument: str = "") -> None:
        self.world.deliver("browser", AgentOrder(order, argument))

    def say(self, text: str) -> None:
        """The server sends a message; line ends and Content-Length are put right."""
        head = text.strip().replace("\n", "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
        self.world.deliver("server", AgentOrder("say", head))

    def cut(self, *, silently: bool = False) -> None:
        self.world.apply(PathFault(at_s=0.0, kind="cut", places=("browser",), others=("server",), silent=silently))

    def kill_server(self) -> None:
        self.world.apply(ProcessFault(at_s=0.0, kind="kill", targets=("server",)))
        self.server.open.clear()

    def start_server(self) -> None:
        self.world.apply(ProcessFault(at_s=0.0, kind="start", targets=("server",)))

    def network(self, kind: Any, host: str = "") -> None:
        self.world.apply(NetworkFault(at_s=0.0, kind=kind, targets=("browser",), host=host))

    def noted(self, kind: type[N]) -> list[tuple[float, N]]:
        return [(each.time_s, each.note) for each in self.world.trace.notes if isinstance(each.note, kind)]

    def registers(self) -> list[float]:
        """When the browser began to register: the first REGISTER of each round has no credentials."""
        return [now for now, each in self.server.requests(b"REGISTER") if "authorization" not in each.names]
