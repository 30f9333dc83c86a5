"""TCP in the simulated network, with TLS and WebSocket over it: set-up, ordered data, close and reset.

A connection takes one round trip; TLS another, and WebSocket's upgrade one more, for which the accepting process
must run. A lost segment comes late (``Direction.segment``), and what follows waits for it. A partition stalls the
segments of the direction that it cuts until it heals, or until the sender's kernel gives up. Whoever was told
``StreamOpened`` is told ``StreamClosed`` once, whichever side ends the connection, unless its process dies.

Between the ends may stand NATs and balancers (``sim.middleboxes``). A segment that one of them drops is repeated,
later and later, until it passes or the kernel gives up; only a reset tells the sender more than silence does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from engine.boundary import (
    Address,
    Flow,
    Input,
    Pong,
    StreamClosed,
    StreamData,
    StreamOpened,
    Transport,
    Unreachable,
)
from sim.addresses import Port, Receiver
from sim.links import RETRANSMIT_AFTER_S, Direction, Queue, delay_until
from sim.middleboxes import BalancerBox, Lost
from sim.nat import Segment
from sim.trace import Wire

if TYPE_CHECKING:
    from sim.network import Network

CONNECT_TIMEOUT_S = 127.0
"""Linux's default: the SYN and six retries."""

GIVE_UP_S = 924.6
"""Linux's default (tcp_retries2 is 15): an open connection whose segments get no answer for so long is closed."""

LONGEST_RETRY_S = 120.0
"""Linux's TCP_RTO_MAX."""

FIRST_EPHEMERAL_PORT = 32_768
LAST_EPHEMERAL_PORT = 60_999

HAND_SHAKES: Final[dict[Transport, int]] = {"tcp": 0, "tls": 1, "ws": 1, "wss": 2}
"""Round trips after TCP's own: TLS 1.3 takes one (RFC 8446 §2), WebSocket's upgrade one (RFC 6455 §4)."""

_Arrival: TypeAlias = "Callable[[_End], None]"
"""What happens at the other end, which is its argument."""


class _Held(NamedTuple):
    """A segment that did not get through yet."""

    arrival: _Arrival
    segment: Segment


class _End:
    """One end of a connection: what its machine knows of it, and the way to the other end."""

    __slots__ = (
        "balancer",
        "flow",
        "other",
        "passes",
        "port",
        "queue",
        "severed",
        "stalled",
        "state",
        "waiting",
        "way",
        "wire",
    )

    def __init__(self, port: Port | None, flow: Flow, way: Direction, wire: Wire) -> None:
        self.port = port  # None: nobody has the address that the connection is to go to
        self.flow = flow
        self.way = way
        self.wire = wire
        self.other: _End = self
        self.queue = Queue()
        self.state: Literal["connecting", "open", "closed"] = "connecting"
        self.waiting: list[bytes] = []  # sent by the machine before the connection stood
        self.stalled: list[_Held] = []
        self.passes = False  # whether NATs or balancers stand between the ends
        self.balancer: BalancerBox | None = None  # the one that the connection came by
        self.severed = False  # cut without a word: nothing passes any more


class Connections:
    """All connections of one network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._numbers: dict[str, int] = {}
        self._ephemeral: dict[str, int] = {}
        self._sources: set[tuple[Address, Address]] = set()  # ephemeral ports in use, each for one peer
        self._ends: dict[tuple[str, int], _End] = {}  # by place and stream number
        self._by_peer: dict[tuple[Port, Address], _End] = {}
        self._stalled: dict[Direction, list[_End]] = {}

    # --- orders of machines -------------------------------------------------------------------------------

    def send(self, port: Port, flow: Flow, data: bytes) -> None:
        if flow.stream:
            end = self._ends.get((port.host.place, flow.stream))
        else:
            peer = self._network.addresses.resolve(flow.peer)
            if peer is None:
                self._tell_soon(port.host, Unreachable(flow, f"unknown name {flow.peer[0]}"))
                return
            end = self._by_peer.get((port, peer)) or self._connect(port, flow, peer)
        if end is None:
            self._tell_soon(port.host, Unreachable(flow, "connection is closed"))
        elif not data:
            pass  # it stands, or is being set up
        elif end.state == "open":
            self._transmit(end, data)
        else:
            end.waiting.append(data)

    def close(self, port: Port, stream: int) -> None:
        end = self._ends.get((port.host.place, stream))
        if end is not None and end.state == "open":
            self._forget(end)
            farewell = port.interface.whole_messages  # a WebSocket says so in a frame of its own
            self._travel(end, lambda other: self._end(other, "closed by peer", farewell), "fin")
            self._tell_soon(port.host, StreamClosed(end.flow, "closed"))

    def ping(self, port: Port, stream: int) -> None:
        """Send a WebSocket ping; the other end's process answers it without asking its machine.

        Where nothing stands in the way, ping and pong are one event: a day of agents is made of little else.
        """
        end = self._ends.get((port.host.place, stream))
        if end is None or end.state != "open" or not port.interface.whole_messages:
            return
        if self._answers_at_once(end):
            self._network.later(end.way.segment() + end.other.way.segment(), self._echoed, end)
        else:
            self._travel(end, self._pinged)

    def drop(self, host: Receiver) -> None:
        """The process died: its kernel resets every connection that it had."""
        for end in [end for (port, _), end in self._by_peer.items() if port.host is host]:
            self._forget(end)
            self._travel(end, self._reset, "rst")

    def cut(self, place: str, other: str, *, silently: bool) -> None:
        """End every connection between two places: by a reset to both ends, or so that neither learns of it."""
        for end in list(self._by_peer.values()):
            if {end.wire.from_place, end.wire.to_place} != {place, other}:
                continue
            if silently:
                end.severed = end.passes = True
            else:
                self._reset(end)

    def abandon(self, port: Port) -> None:
        """The address of this port is gone: its connections are dead, and only this end is told."""
        for end in [end for (owner, _), end in self._by_peer.items() if owner is port]:
            other = end.other
            other.severed = other.passes = True
            if end.state == "connecting":
                self._refused(end, "network changed")
            else:
                self._end(end, "network changed")

    def resume(self, direction: Direction) -> None:
        """The partition of this direction is over: what it stalled goes on, in order."""
        for end in self._stalled.pop(direction, ()):
            self._go_on(end)

    # --- set-up -------------------------------------------------------------------------------------------

    def _connect(self, port: Port, flow: Flow, peer: Address) -> _End:
        network = self._network
        here, transport = port.host.place, port.transport
        source = (port.address[0], self._ephemeral_port(port.address[0], peer))
        arrives = (source, peer)  # the addresses that the other end will see
        passes = network.middleboxes.concern(transport, *arrives)
        if passes:
            step = network.middleboxes.carry(transport, *arrives, "syn", None)
            arrives = arrives if isinstance(step, Lost) else (step.source, step.destination)
        target = network.addresses.port(transport, arrives[1])
        there = target.host.place if target else network.addresses.place(arrives[1][0])
        number = self._number(here)
        self._sources.add((source, peer))
        client = _End(
            port,
            Flow(port.name, flow.peer, number),
            network.direction(here, there),
            Wire(here, there, source, peer, transport, arrives if passes else None),
        )
        server = _End(
            target,
            Flow(target.name if target else "", arrives[0]),  # numbered when it is accepted
            network.direction(there, here),
            Wire(there, here, arrives[1], arrives[0], transport, (peer, source) if passes else None),
        )
        client.other, server.other = server, client
        client.passes = server.passes = passes
        client.balancer = server.balancer = network.middleboxes.listener(transport, peer)
        self._by_peer[port, peer] = self._ends[here, number] = client
        self._travel(client, self._syn, "syn")
        network.later(CONNECT_TIMEOUT_S, self._refused, client, "connection timed out")
        return client

    def _syn(self, server: _End) -> None:
        if server.port is not None and server.port.host.alive:
            self._by_peer[server.port, server.flow.peer] = server
            self._travel(server, lambda client: self._shake(client, HAND_SHAKES[client.wire.transport]), "syn_ack")
        else:
            reason = "connection refused" if server.wire.from_place else "no route to host"
            self._travel(server, lambda client: self._refused(client, reason), "rst")

    def _shake(self, client: _End, left: int) -> None:
        """The client's kernel or process goes on, with so many round trips left."""
        if client.state != "connecting":
            self._travel(client, self._reset, "rst")  # it has given up, and its kernel says so
        elif left:
            self._travel(client, lambda server: self._when_running(server, lambda: self._shaken(server, left)))
        else:
            self._travel(client, self._accept)
            self._stand(client)

    def _shaken(self, server: _End, left: int) -> None:
        if left == 1 and server.port is not None and server.port.interface.whole_messages:
            # The server is the first to know of an upgrade: the client learns of it by the answer.
            self._travel(server, self._stand)
            self._accept(server)
        else:
            self._travel(server, lambda client: self._shake(client, left - 1))

    def _stand(self, client: _End) -> None:
        if client.state == "connecting":
            client.state = "open"
            self._receive(client, StreamOpened(client.flow, accepted=False))
            self._flush(client)
        else:
            self._travel(client, self._reset, "rst")

    def _accept(self, server: _End) -> None:
        port = server.port
        if port is None or server.state == "closed" or not port.host.alive:
            return  # its process died meanwhile, and the client was told
        place = port.host.place
        server.flow = server.flow._replace(stream=self._number(place))
        server.state = "open"
        self._ends[place, server.flow.stream] = server
        self._receive(server, StreamOpened(server.flow))
        self._flush(server)
        if server.balancer is not None:
            self._watch(server, server.balancer)

    def _flush(self, end: _End) -> None:
        waiting, end.waiting = end.waiting, []
        for data in waiting:
            self._transmit(end, data)

    def _refused(self, client: _End, reason: str) -> None:
        if client.state == "connecting":
            self._forget(client)
            self._receive(client, Unreachable(client.flow._replace(stream=0), reason))

    # --- segments -----------------------------------------------------------------------------------------

    def _transmit(self, end: _End, data: bytes) -> None:
        sent = self._network.trace.departure(self._network.env.now)

        def arrive(other: _End) -> None:
            if other.state == "open":
                now = self._network.env.now
                self._network.trace.message(now, sent, end.wire, data, "delivered")
                self._receive(other, StreamData(other.flow, data))
            else:
                self._travel(other, self._reset, "rst")

        self._travel(end, arrive)

    def _answers_at_once(self, end: _End) -> bool:
        """Whether a ping sent here comes back by itself: neither end waits, both ways are open and plain."""
        other = end.other
        if end.stalled or other.stalled or end.passes or end.way.blocked or other.way.blocked:
            return False
        return other.state == "open" and other.port is not None and other.port.host.prompt

    def _echoed(self, end: _End) -> None:
        """A ping and its pong have passed, unless something has come in between."""
        if end.state != "open":
            return
        if self._answers_at_once(end):
            self._receive(end, Pong(end.flow))
        else:
            self._travel(end, self._pinged)

    def _pinged(self, end: _End) -> None:
        self._when_running(end, lambda: self._travel(end, self._ponged))

    def _ponged(self, end: _End) -> None:
        if end.state == "open":
            self._receive(end, Pong(end.flow))

    def _reset(self, end: _End) -> None:
        if end.state == "open":
            self._end(end, "connection reset by peer")
        elif end.flow.stream:
            self._refused(end, "connection reset by peer")
        else:
            self._forget(end)  # not accepted yet, so nobody knows of it

    def _end(self, end: _End, reason: str, farewell: bool = False) -> None:
        if end.state == "open":
            self._forget(end)
            self._receive(end, StreamClosed(end.flow, reason, farewell))

    # --- the way between ----------------------------------------------------------------------------------

    def _travel(self, end: _End, arrival: _Arrival, segment: Segment = "data") -> None:
        """Let something arrive at the other end, behind all that was sent before."""
        if end.stalled or end.way.blocked or (end.passes and not self._passes(end, segment)):
            self._stall(end, _Held(arrival, segment))
            return
        delay_s = end.queue.delay(self._network.env.now, end.way.segment())
        self._network.later(delay_s, arrival, end.other)

    def _passes(self, end: _End, segment: Segment) -> bool:
        """Whether a segment gets to the other end; if what it meets refuses it, the sender is told."""
        if end.severed:
            return False
        wire, other = end.wire, end.other.wire
        step = self._network.middleboxes.carry(
            wire.transport, wire.source, wire.destination, segment, end.balancer
        )
        if step == (other.destination, other.source):
            return True
        # What gets to somebody who knows of no such connection is refused too.
        if segment != "rst" and (not isinstance(step, Lost) or step.refused):
            if end.state == "connecting" and end.flow.stream:
                reason = "no route to host" if isinstance(step, Lost) and not step.place else "connection refused"
                self._network.later(0.0, self._refused, end, reason)
            else:
                self._network.later(0.0, self._reset, end)
        return False

    def _stall(self, end: _End, held: _Held) -> None:
        if end.stalled:
            end.stalled.append(held)
        elif end.way.blocked:
            end.stalled.append(held)
            self._stalled.setdefault(end.way, []).append(end)
            self._network.later(GIVE_UP_S, self._give_up, end, held)
        elif end.state != "closed":  # what a dead or closed end still had to say is not repeated for ever
            end.stalled.append(held)
            self._network.later(RETRANSMIT_AFTER_S, self._retry, end, held, RETRANSMIT_AFTER_S)
            self._network.later(GIVE_UP_S, self._give_up, end, held)

    def _retry(self, end: _End, held: _Held, waited_s: float) -> None:
        if not end.stalled or end.stalled[0] is not held or end.state == "closed":
            return
        if end.way.blocked or not self._passes(end, held.segment):
            wait_s = min(2.0 * waited_s, LONGEST_RETRY_S)
            self._network.later(wait_s, self._retry, end, held, wait_s)
        else:
            self._go_on(end)

    def _go_on(self, end: _End) -> None:
        stalled, end.stalled = end.stalled, []
        for held in stalled:
            self._travel(end, held.arrival, held.segment)

    def _give_up(self, end: _End, held: _Held) -> None:
        if end.stalled and end.stalled[0] is held:
            end.stalled.clear()
            self._end(end, "connection timed out")

    def _watch(self, server: _End, box: BalancerBox) -> None:
        """Look when the balancer will end this connection for being idle, and again then."""
        now = self._network.env.now
        at_s = box.balancer.closes_at(server.wire.source, server.wire.destination, now)
        if at_s is None or server.state != "open":
            return
        if at_s <= now:
            self._end(server, "closed by peer")
            self._end(server.other, "closed by peer")
        else:
            self._network.later(delay_until(now, at_s), self._watch, server, box)

    def _forget(self, end: _End) -> None:
        end.state = "closed"
        end.waiting.clear()
        if end.port is not None:
            self._ends.pop((end.port.host.place, end.flow.stream), None)
            # The wire tells the peer's address where the machine gave a name.
            self._by_peer.pop((end.port, end.wire.destination), None)
        self._sources.discard((end.wire.source, end.wire.destination))

    def _receive(self, end: _End, event: Input) -> None:
        if end.port is not None:
            end.port.host.receive(event)

    def _when_running(self, end: _End, work: Callable[[], None]) -> None:
        if end.port is not None and end.state != "closed":
            end.port.host.when_running(work)

    def _tell_soon(self, host: Receiver, event: Input) -> None:
        self._network.later(0.0, self._tell, host, event)

    def _tell(self, host: Receiver, event: Input) -> None:
        if host.alive:
            host.receive(event)

    def _number(self, place: str) -> int:
        self._numbers[place] = number = self._numbers.get(place, 0) + 1
        return number

    def _ephemeral_port(self, host: str, peer: Address) -> int:
        port = self._ephemeral.get(host, FIRST_EPHEMERAL_PORT)
        # A port is free again for a peer that has no connection from it.
        for _ in range(FIRST_EPHEMERAL_PORT, LAST_EPHEMERAL_PORT):
            if ((host, port), peer) not in self._sources:
                break
            port = _after(port)
        self._ephemeral[host] = _after(port)
        return port


def _after(port: int) -> int:
    return FIRST_EPHEMERAL_PORT if port == LAST_EPHEMERAL_PORT else port + 1
