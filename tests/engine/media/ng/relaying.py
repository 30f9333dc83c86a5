"""A relay of rtpengines under test: modelled ones in virtual time, or real ones behind a socket."""

from __future__ import annotations

import socket
from dataclasses import replace
from itertools import count
from random import Random
from typing import Protocol

from engine.boundary import Address, Datagram, Effect, Flow, Interface, Note, Send
from engine.config import MediaInterface, RelayConfig
from engine.media.ng import commands
from engine.media.ng.bencode import Told
from engine.media.ng.joined import NgJoined
from engine.media.ng.relay import NgMedia, NgRelay
from engine.media.ng.settings import NgConfig, NgServerConfig
from engine.media.ng.wire import write_message
from engine.media.offer_answer import Carrier, Side
from engine.media.profiles import Kind
from engine.media.relay import Outcome, Passage, Peer
from engine.media.rules import MediaStats, Port, ReleasePorts
from engine.media.settings import MediaSettings
from engine.media.targets import Targets
from engine.sip.errors import SipError
from engine.tally import Tally
from engine.timers import TimerQueue
from sim.agents.rtpengine import Rtpengine, RtpengineConfig, RtpengineInterface
from tests.engine.media.relay import carrier
from tests.live.peers import rtpengine as real

SETTINGS = MediaSettings(targets=Targets(loopback=True))
PLACES = (("outside", "agents"), ("inside", "nodes"))  # rtpengine's interfaces, and the edge's that each serves
NOTHING = MediaStats(Port("", 0), 0, 0, 0, 0.0, None, 0.0, 0)
_seeds = count()


class Server(Protocol):
    """What takes orders; None: it is dead."""

    address: Address
    outside: str
    inside: str

    def __call__(self, data: bytes, now: float) -> list[bytes]: ...


class Modelled:
    """The model."""

    def __init__(self, number: int = 1, max_sessions: int | None = None) -> None:
        self.address = (f"10.0.0.{number}", 2_223)
        self.outside, self.inside = f"203.0.113.{number}", f"10.9.0.{number}"
        interface = Interface(name="ng", transport="udp", host=self.address[0], port=self.address[1])
        places = tuple(
            RtpengineInterface(name=name, host=host)
            for name, host in (("outside", self.outside), ("inside", self.inside))
        )
        self._config = RtpengineConfig(
            name=f"rtp{number}", control=(interface,), interfaces=places, max_sessions=max_sessions
        )
        self.restart()

    def restart(self) -> None:
        """Another process, which knows no call."""
        self.machine = Rtpengine(self._config, Random(7))
        self.media: list[Effect] = []
        self.counted: dict[str, MediaStats] = {}  # what comes to a port of an interface, until it is closed

    def __call__(self, data: bytes, now: float) -> list[bytes]:
        effects = list(self.machine.receive(Datagram(Flow("ng", ("10.0.1.1", 4_000)), data), now))
        for effect in effects.copy():
            if isinstance(effect, ReleasePorts):
                stats = self.counted.pop(effect.port.interface, NOTHING)._replace(port=effect.port)
                effects += self.machine.receive(stats, now)
        self.media += [effect for effect in effects if not isinstance(effect, Send)]
        return [effect.data for effect in effects if isinstance(effect, Send)]


class Real:
    """A process."""

    def __init__(self, peer: real.Rtpengine) -> None:
        self.address, self.outside, self.inside = peer.control, peer.outside, peer.inside
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(self.address)
        self._socket.settimeout(5)

    def __call__(self, data: bytes, now: float) -> list[bytes]:
        self._socket.send(data)
        return [self._socket.recv(65_535)]

    def ask(self, content: Told) -> bytes:
        """The answer to an order of the test's own."""
        (answer,) = self(write_message(b"%032x" % next(_seeds), content), 0.0)
        return answer

    def close(self) -> None:
        self._socket.close()


class Relaying:
    """The relay, its servers, and one call after another."""

    def __init__(
        self, *servers: Server, settings: MediaSettings = SETTINGS, config: NgConfig | None = None
    ) -> None:
        self.now = 0.0
        self.out: list[Effect] = []
        self.timers = TimerQueue()
        self.servers = {server.address: server for server in servers}
        self.dead: set[Address] = set()
        self.renewed: list[NgMedia] = []
        named = tuple(
            NgServerConfig(name=f"rtp{number}", host=server.address[0], port=server.address[1])
            for number, server in enumerate(servers, start=1)
        )
        config = replace(config or NgConfig(), servers=named)
        rng = Random(next(_seeds))  # cookies that one rtpengine has seen must not come again
        tally = Tally(self.timers, self.out)
        places = tuple(MediaInterface(name=name, host="", serves=(sip,)) for name, sip in PLACES)
        relay_config = RelayConfig(interfaces=places, rtpengine=config)
        self.relay = NgRelay(relay_config, self.out, self.timers, tally, rng)
        self.relay.settings = settings
        self.relay.renew = self._renewed
        self.orders: list[bytes] = []
        self.replies: list[bytes] = []

    def _renewed(self, media: NgMedia, now: float) -> bool:
        self.renewed.append(media)
        return True

    def open(self, caller: Kind, callee: Kind, branch: str = "z9hG4bK1", *, host: str | None = None) -> Call:
        """A new call."""
        sides = [Peer(kind, "nodes" if kind == "node" else "agents", host) for kind in (caller, callee)]
        passage = Passage(f"call-{next(_seeds)}", "tag", branch, *sides)
        return Call(self, self.relay.open(passage, self.now))

    def settle(self) -> None:
        """Carry out what was ordered, and what follows from that, while no time passes."""
        while sends := [effect for effect in self.out if isinstance(effect, Send)]:
            self.out[:] = [effect for effect in self.out if not isinstance(effect, Send)]
            for send in sends:
                self.orders.append(send.data)
                peer = send.flow.peer
                if peer not in self.dead:
                    for answer in self.servers[peer](send.data, self.now):
                        self.replies.append(answer)
                        self.relay.client.datagram(send.flow, answer, self.now)

    def join(self, one: Call, side: Side, other: Call, other_side: Side) -> NgJoined:
        """The node of two calls is gone."""
        joined = one.media.join(side, other.media, other_side, self.now)
        self.settle()
        assert isinstance(joined, NgJoined)
        return joined

    def run(self, until_s: float) -> None:
        """Let time pass."""
        self.settle()
        while (due := self.timers.deadline()) <= until_s:
            self.now = max(self.now, due)
            self.timers.fire_due(self.now)
            self.settle()
        self.now = until_s

    def client_says_unreachable(self, address: Address) -> None:
        """The network says that nothing listens there, in answer to the next ping."""
        server = next(each for each in self.relay.servers if each.config.address == address)
        self.relay.servers.ping(server, self.now)
        self.relay.client.unreachable(Flow("relays:udp", address), "refused", self.now)

    def of(self, kind: type[Note]) -> list[Note]:
        return [effect for effect in self.out if isinstance(effect, kind)]


class Call:
    """The proxy's part in one call."""

    def __init__(self, world: Relaying, media: NgMedia) -> None:
        self.world = world
        self.media = media

    def say(self, text: str, body: bytes, tag: str = "callee") -> list[Outcome]:
        """A message passes; the list fills when the relay has its word."""
        outcomes: list[Outcome] = []

        def then(outcome: Outcome, now: float) -> None:
            outcomes.append(outcome)

        said: Carrier = carrier(text)
        self.media.described(said, "" if text.startswith("> INVITE 1") else tag, body, then, self.world.now)
        self.world.settle()
        return outcomes

    def told(self, text: str, body: bytes, tag: str = "callee") -> bytes:
        """What is sent on of it, at once."""
        (outcome,) = self.say(text, body, tag)
        if isinstance(outcome, SipError):
            raise outcome
        assert outcome is not None
        return outcome

    def ended(self, text: str, tag: str = "callee") -> None:
        self.media.ended(carrier(text), tag, self.world.now)
        self.world.settle()

    def release_at_server(self) -> None:
        """Its server forgets the call."""
        for server in self.world.servers.values():
            server(write_message(b"%032x" % next(_seeds), commands.delete(self.media.call.name)), self.world.now)

    def release(self) -> None:
        self.media.release(self.world.now)
        self.world.settle()


def orders_of(world: Relaying, command: str) -> list[bytes]:
    """The orders of a sort that were sent."""
    return [data for data in world.orders if b"7:command%d:%b" % (len(command), command.encode()) in data]
