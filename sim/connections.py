"""TCP in the simulated network: set-up in one round trip, ordered data without loss, close and reset.

A lost segment comes late (``Direction.segment``), and what follows waits for it. A partition stalls the
segments of the direction that it cuts until it heals; only a connection that is being set up gives up. Every
machine that was told ``StreamOpened`` is told ``StreamClosed`` once, whichever side ends the connection, unless
its process dies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from engine.boundary import Address, Flow, Input, StreamClosed, StreamData, StreamOpened, Unreachable
from sim.addresses import Port, Receiver
from sim.links import Direction, Queue
from sim.trace import Wire

if TYPE_CHECKING:
    from sim.network import Network

CONNECT_TIMEOUT_S = 127.0
"""Linux's default: the SYN and six retries."""

FIRST_EPHEMERAL_PORT = 32_768
LAST_EPHEMERAL_PORT = 60_999


class _End:
    """One end of a connection: what its machine knows of it, and the way to the other end."""

    __slots__ = ("flow", "other", "port", "queue", "state", "waiting", "way", "wire")

    def __init__(self, port: Port | None, flow: Flow, way: Direction, wire: Wire) -> None:
        self.port = port  # None: nobody has the address that the connection is to go to
        self.flow = flow
        self.way = way
        self.wire = wire
        self.other: _End = self
        self.queue = Queue()
        self.state: Literal["connecting", "open", "closed"] = "connecting"
        self.waiting: list[bytes] = []  # sent by the machine before the connection stood


class Connections:
    """All connections of one network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._numbers: dict[str, int] = {}
        self._ephemeral: dict[str, int] = {}
        self._ends: dict[tuple[str, int], _End] = {}  # by place and stream number
        self._by_peer: dict[tuple[Port, Address], _End] = {}
        self._stalled: dict[Direction, list[tuple[_End, Callable[[_End], None]]]] = {}

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
        elif end.state == "open":
            self._transmit(end, data)
        else:
            end.waiting.append(data)

    def close(self, port: Port, stream: int) -> None:
        end = self._ends.get((port.host.place, stream))
        if end is not None and end.state == "open":
            self._forget(end)
            self._travel(end, lambda other: self._closed(other, "closed by peer"))
            self._tell_soon(port.host, StreamClosed(end.flow, "closed"))

    def drop(self, host: Receiver) -> None:
        """The process died: its kernel resets every connection that it had."""
        for end in [end for (port, _), end in self._by_peer.items() if port.host is host]:
            self._forget(end)
            self._travel(end, lambda other: self._closed(other, "connection reset by peer"))

    def resume(self, direction: Direction) -> None:
        """The partition of this direction is over: what it stalled goes on, in order."""
        for end, arrival in self._stalled.pop(direction, ()):
            self._travel(end, arrival)

    # --- set-up -------------------------------------------------------------------------------------------

    def _connect(self, port: Port, flow: Flow, peer: Address) -> _End:
        network = self._network
        here = port.host.place
        target = network.addresses.port(port.transport, peer)
        there = target.host.place if target else network.addresses.place(peer[0])
        source = (port.address[0], self._ephemeral_port(port.address[0]))
        number = self._number(here)
        client = _End(
            port,
            Flow(port.name, flow.peer, number),
            network.direction(here, there),
            Wire(here, there, source, peer, port.transport),
        )
        server = _End(
            target,
            Flow(target.name if target else "", source),  # numbered when it is accepted
            network.direction(there, here),
            Wire(there, here, peer, source, port.transport),
        )
        client.other, server.other = server, client
        self._by_peer[port, peer] = self._ends[here, number] = client
        self._travel(client, lambda server: self._syn(client, server))
        network.later(CONNECT_TIMEOUT_S, self._refused, client, "connection timed out")
        return client

    def _syn(self, client: _End, server: _End) -> None:
        if server.port is not None and server.port.host.alive:
            self._travel(server, self._syn_ack)
        else:
            reason = "connection refused" if client.wire.to_place else "no route to host"
            self._travel(server, lambda client: self._refused(client, reason))

    def _syn_ack(self, client: _End) -> None:
        if client.state != "connecting":
            return
        client.state = "open"
        self._travel(client, self._accept)
        self._receive(client, StreamOpened(client.flow))
        waiting, client.waiting = client.waiting, []
        for data in waiting:
            self._transmit(client, data)

    def _accept(self, server: _End) -> None:
        port = server.port
        if port is None or not port.host.alive:
            self._travel(server, lambda client: self._closed(client, "connection reset by peer"))
            return
        place = port.host.place
        server.flow = server.flow._replace(stream=self._number(place))
        server.state = "open"
        self._ends[place, server.flow.stream] = server
        self._by_peer[port, server.flow.peer] = server
        self._receive(server, StreamOpened(server.flow))

    def _refused(self, client: _End, reason: str) -> None:
        if client.state == "connecting":
            self._forget(client)
            self._receive(client, Unreachable(client.flow._replace(stream=0), reason))

    # --- segments -----------------------------------------------------------------------------------------

    def _transmit(self, end: _End, data: bytes) -> None:
        sent_s = self._network.env.now

        def arrive(other: _End) -> None:
            if other.state == "open":
                now = self._network.env.now
                self._network.trace.message(now, sent_s, end.wire, data, "delivered")
                self._receive(other, StreamData(other.flow, data))

        self._travel(end, arrive)

    def _closed(self, end: _End, reason: str) -> None:
        if end.state == "open":
            self._forget(end)
            self._receive(end, StreamClosed(end.flow, reason))

    def _travel(self, end: _End, arrival: Callable[[_End], None]) -> None:
        """Let something arrive at the other end, behind all that was sent before."""
        if end.way.blocked:
            self._stalled.setdefault(end.way, []).append((end, arrival))
            return
        delay_s = end.queue.delay(self._network.env.now, end.way.segment())
        self._network.later(delay_s, arrival, end.other)

    def _forget(self, end: _End) -> None:
        end.state = "closed"
        end.waiting.clear()
        if end.port is not None:
            self._ends.pop((end.port.host.place, end.flow.stream), None)
            # The wire tells the peer's address where the machine gave a name.
            self._by_peer.pop((end.port, end.wire.destination), None)

    def _receive(self, end: _End, event: Input) -> None:
        if end.port is not None:
            end.port.host.receive(event)

    def _tell_soon(self, host: Receiver, event: Input) -> None:
        self._network.later(0.0, self._tell, host, event)

    def _tell(self, host: Receiver, event: Input) -> None:
        if host.alive:
            host.receive(event)

    def _number(self, place: str) -> int:
        self._numbers[place] = number = self._numbers.get(place, 0) + 1
        return number

    def _ephemeral_port(self, host: str) -> int:
        port = self._ephemeral.get(host, FIRST_EPHEMERAL_PORT)
        self._ephemeral[host] = FIRST_EPHEMERAL_PORT if port == LAST_EPHEMERAL_PORT else port + 1
        return port
