"""The table of connections: admission, framing, lifetimes, pings.

How long a connection lives is decided here and nowhere else; hosts end one only where the kernel does, or where
a peer doesn't take what it is sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Final

from engine.boundary import NEVER, Close, Effect, Flow, Interface, Ping, Send
from engine.config import EdgeConfig
from engine.notes import ConnectionClosed, ConnectionOpened, ConnectionsRefused
from engine.sip.framing import BoundaryLostError, StreamFramer, parse_datagram
from engine.sip.message import Request, Response
from engine.streams.connection import REVISIT_S, Connection
from engine.tally import Tally
from engine.wheel import Wheel

_PING, _PONG = b"\r\n\r\n", b"\r\n"  # RFC 5626 §3.5.1
_SITE: Final = (1 << 128) - (1 << 64)


class Streams:
    """All connections of one edge.

    Parameters
    ----------
    lease
        Tells until when the registrations that came over this connection last; 0.0 without any.
    lost
        Told of each connection that ended, with the reason in words, and whether the peer has taken its leave.
    """

    def __init__(
        self,
        config: EdgeConfig,
        interfaces: Mapping[str, Interface],
        wheel: Wheel,
        tally: Tally,
        out: list[Effect],
        rng: random.Random,
        lease: Callable[[Flow], float],
        lost: Callable[[Flow, str, bool, float], None],
    ) -> None:
        self._interfaces = interfaces
        self._wheel = wheel
        self._tally = tally
        self._out = out
        self._rng = rng
        self._lease = lease
        self._lost = lost
        self._table: dict[Flow, Connection] = {}
        self._accepted = 0
        self._per_address: dict[str, int] = {}  # of those accepted
        self.reconfigure(config)

    def reconfigure(self, config: EdgeConfig) -> None:
        """Take over new settings; connections that stand feel them when they are looked at next."""
        self.config = config.streams
        self._limits = config.limits
        self.idle_s = config.streams.idle_s
        if config.streams.lifetime == "above_expiry":
            self.idle_s = max(self.idle_s, config.registrar.agent_max_expires_s + config.streams.margin_s)
        self._follows = config.streams.lifetime == "follows_registration"

    # --- what happened

    def opened(self, flow: Flow, accepted: bool, now: float) -> None:
        """A connection stands. One too many is closed at once."""
        if flow in self._table:
            return
        address = _address(flow.peer[0])
        if accepted:
            why = self._full(address)
            if why:
                self._tally.add(ConnectionsRefused, flow.interface, why, now)
                self._out.append(Close(flow))
                return
            self._accepted += 1
            self._per_address[address] = self._per_address.get(address, 0) + 1
        interface = self._interfaces[flow.interface]
        framer = None
        if not interface.whole_messages:
            framer = StreamFramer(self._limits.message_bytes, self._limits.header_lines)
        connection = self._table[flow] = Connection(self, flow, accepted, framer, now)
        if interface.whole_messages:
            # thousands that come at once, as after a restart, must not be pinged at one instant for ever
            connection.ping_at = now + self._rng.random() * (self.config.ping_interval_s or REVISIT_S)
        host, port = flow.peer
        self._out.append(ConnectionOpened(flow.interface, f"{host}:{port}", flow.stream, accepted))
        self._wheel.look_by(connection, connection.look(now), now)

    def receive(self, flow: Flow, data: bytes, now: float) -> list[Request | Response]:
        """The messages that these bytes complete; keep-alives are answered.

        Raises
        ------
        BoundaryLostError
            Nothing that comes on this connection can be understood any more: it is to be closed.
        SipError
            This WebSocket message is no SIP message; the next may be one.
        """
        connection = self._table.get(flow)
        if connection is None:
            return []  # closed from here; the peer didn't know yet
        connection.pinged_at = NEVER
        framer = connection.framer
        if framer is None:
            return self._whole(connection, data, now)
        messages = framer.feed(data)
        if messages or framer.pongs_due or not framer.unfinished:
            connection.heard_at = now
            connection.owes_since = NEVER
        for _ in range(framer.pongs_due):
            self._out.append(Send(flow, _PONG))
        framer.pongs_due = 0
        if connection.owes_since == NEVER and framer.unfinished:
            connection.owes_since = now
            self._wheel.look_by(connection, now + self.config.first_message_s, now)
        return messages

    def _whole(self, connection: Connection, data: bytes, now: float) -> list[Request | Response]:
        if len(data) > self._limits.message_bytes:  # RFC 6455 §7.4.1, 1009: too big to process
            raise BoundaryLostError("message larger than the limit", [], 513)
        message = parse_datagram(data, self._limits.header_lines)
        connection.heard_at = now
        connection.owes_since = NEVER
        if message is not None:
            return [message]
        if not data or _PING in data:
            self._out.append(Send(connection.flow, _PONG))
        return []

    def answered(self, flow: Flow) -> None:
        """A Pong came."""
        connection = self._table.get(flow)
        if connection is not None:
            connection.pinged_at = NEVER

    def closed(self, flow: Flow, reason: str, farewell: bool, now: float) -> None:
        """A connection ended."""
        connection = self._table.pop(flow, None)
        if connection is None:
            return
        self._wheel.leave(connection)
        connection.framer = None
        if connection.accepted:
            self._accepted -= 1
            address = _address(flow.peer[0])
            left = self._per_address[address] - 1
            if left:
                self._per_address[address] = left
            else:
                del self._per_address[address]
        host, port = flow.peer
        self._out.append(
            ConnectionClosed(flow.interface, f"{host}:{port}", flow.stream, reason, now - connection.opened_at)
        )
        self._lost(flow, reason, farewell, now)

    # --- what is done

    def close(self, flow: Flow, reason: str, now: float) -> None:
        """End a connection, after what was sent on it before."""
        if flow in self._table:
            self._out.append(Close(flow))
            self.closed(flow, reason, False, now)

    def ping(self, flow: Flow) -> None:
        """Ask the peer whether it lives."""
        self._out.append(Ping(flow))

    def idle_due(self, connection: Connection, now: float) -> float:
        """When this connection has been idle for too long."""
        due = connection.heard_at + self.idle_s
        if not self._follows:
            return due
        lease = self._lease(connection.flow)
        if lease or connection.leased_until > now:  # without a lease before its time: the agent has withdrawn
            connection.leased_until = lease
        # A registration that has just expired may still be refreshed: the margin begins there.
        return max(due, connection.leased_until + self.config.margin_s)

    # --- what is known

    def _full(self, address: str) -> str:
        """The bound that one more accepted connection would break; "" where there is room."""
        limits = self._limits
        if self._accepted >= limits.stream_connections:
            return f"more than {limits.stream_connections} connections"
        per_address = self.config.connections_per_address
        if self._per_address.get(address, 0) >= per_address:
            return f"more than {per_address} connections from one address"
        return ""

    def __contains__(self, flow: object) -> bool:
        return flow in self._table

    def __len__(self) -> int:
        return len(self._table)


def _address(host: str) -> str:
    """What is bounded as one address: with IPv6 a network of 64 bits, of which one host has all addresses."""
    if ":" not in host:
        return host
    return str(IPv6Address(int(IPv6Address(host)) & _SITE))
