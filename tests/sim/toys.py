"""Machines small enough to see through, and a world of two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.boundary import (
    NEVER,
    AgentOrder,
    Close,
    Datagram,
    Effect,
    Flow,
    Input,
    Interface,
    Note,
    Ping,
    Send,
    StreamClosed,
    StreamData,
    StreamOpened,
    Transport,
    Unreachable,
)
from sim.links import Link
from sim.world import World

LEFT = ("127.0.0.1", 5060)
RIGHT = ("127.0.0.2", 5060)


def interface(address: tuple[str, int], transport: Transport = "udp", **more: Any) -> Interface:
    return Interface(name="wire", transport=transport, host=address[0], port=address[1], **more)


@dataclass(frozen=True, slots=True)
class Heard(Note):
    """What a toy heard, so that it is in the trace."""

    what: str


@dataclass
class Ear:
    """Remembers each input with its time; answers none. Orders: ``send TEXT`` to its peer, ``close``, ``ping``."""

    peer: tuple[str, int] = RIGHT
    heard: list[tuple[float, Input]] = field(default_factory=list)
    stream: int = 0

    def start(self, now: float) -> Sequence[Effect]:
        return ()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        self.heard.append((now, event))
        if isinstance(event, StreamOpened):
            self.stream = event.flow.stream
        if not isinstance(event, AgentOrder):
            return (Heard(type(event).__name__),)
        if event.order == "close":
            return (Close(Flow("wire", self.peer, self.stream)),)
        if event.order == "ping":
            return (Ping(Flow("wire", self.peer, self.stream)),)
        if event.order != "send":  # what befell its host
            return ()
        return (Send(Flow("wire", self.peer), event.argument.encode()),)

    def tick(self, now: float) -> Sequence[Effect]:
        return ()

    def deadline(self) -> float:
        return NEVER

    # --- what tests ask

    @property
    def data(self) -> list[bytes]:
        return [event.data for _, event in self.heard if isinstance(event, (Datagram, StreamData))]

    @property
    def arrivals(self) -> list[tuple[float, bytes]]:
        return [(now, event.data) for now, event in self.heard if isinstance(event, (Datagram, StreamData))]

    @property
    def troubles(self) -> list[tuple[float, str]]:
        return [(now, event.reason) for now, event in self.heard if isinstance(event, (Unreachable, StreamClosed))]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for _, event in self.heard if not isinstance(event, AgentOrder)]


class Echo(Ear):
    """Sends back what it hears."""

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        super().receive(event, now)
        return (Send(event.flow, event.data),) if isinstance(event, (Datagram, StreamData)) else ()


class Clock(Ear):
    """Ticks at the given instants, and remembers when it was woken."""

    def __init__(self, *due: float) -> None:
        super().__init__()
        self.due = sorted(due)
        self.woken: list[float] = []

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if isinstance(event, AgentOrder):  # ``wake AT``
            self.due = sorted([*self.due, float(event.argument)])
        return super().receive(event, now) if isinstance(event, Datagram) else ()

    def tick(self, now: float) -> Sequence[Effect]:
        self.woken.append(now)
        self.due = [at for at in self.due if at > now]
        return ()

    def deadline(self) -> float:
        return self.due[0] if self.due else NEVER


class Pair:
    """A world of two places, left and right, with a link between them."""

    def __init__(
        self,
        right: Callable[[], Ear] = Ear,
        *,
        link: Link | None = None,
        transport: Transport = "udp",
        seed: int = 0,
        peer: tuple[str, int] = RIGHT,
        listens: bool = True,
    ) -> None:
        self.world = World(seed, record="all")
        self.left = Ear(peer)
        self.rights: list[Ear] = []  # each start of the right place makes one

        def make_right(_birth: object) -> Ear:
            self.rights.append(right())
            return self.rights[-1]

        self.world.add("left", lambda _: self.left, [interface(LEFT, transport, listens=listens)])
        self.world.add("right", make_right, [interface(RIGHT, transport)])
        self.world.link("left", "right", link or Link(latency_ms=10))

    @property
    def right(self) -> Ear:
        return self.rights[-1]

    def say(self, text: str, at_s: float = 0.0, place: str = "left") -> None:
        self.order("send", text, at_s, place)

    def order(self, order: str, argument: str = "", at_s: float = 0.0, place: str = "left") -> None:
        self.world.network.later(at_s, self.world.deliver, place, AgentOrder(order, argument))

    def fates(self) -> list[str]:
        return [record.fate for record in self.world.trace.messages]
