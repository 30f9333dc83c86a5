"""One interface over TCP - plain, TLS or WebSocket: a listening socket, the connections it accepted, and those
opened for Sends.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from dataclasses import replace
from itertools import count

from engine.boundary import Address, Flow, Interface, Unreachable
from engine.live.connection import Connection, Opening
from engine.live.errors import reason_of
from engine.live.names import Names
from engine.live.port import Context, PortStats
from engine.live.sockets import family_of
from engine.live.tls import Tls
from engine.live.websocket import WebSocketConnection
from engine.notes import ConnectionsRefused

_ACCEPTS_PER_WAKE_UP = 64
_ACCEPT_PAUSE_S = 1.0  # without a free file descriptor
_STOP_GRACE_S = 1.0
_WILDCARDS = {"0.0.0.0", "::"}


class TcpPort:
    """Numbers connections from 1, bounds them, opens one where a Send has no stream.

    ``sock`` listens; None where the interface only connects. ``tls`` is what a secure interface shows and trusts.
    """

    def __init__(
        self, interface: Interface, sock: socket.socket | None, context: Context, tls: Tls | None = None
    ) -> None:
        self.interface = interface
        self._name = interface.name
        self._sock = sock
        self._tls = tls
        self._context = context
        self._settings = context.settings
        self._loop = context.loop
        self._family = family_of(interface.host)
        self._names = Names(self._family, context.settings, context.loop, context.thawed)
        self._numbers = count(1)
        self._connections: dict[int, Connection] = {}
        self._by_peer: dict[Address, Connection] = {}
        self._accepted = 0
        self._openings: dict[Address, Opening] = {}
        self._welcomes: dict[asyncio.Task[None], float] = {}  # half-open connections and since when; oldest first
        self._next_accept: asyncio.TimerHandle | None = None  # while the kernel keeps whoever comes
        self._all_lost = asyncio.Event()
        self._reading = False
        self._refused: dict[str, int] = {}
        self._reads = 0
        self._writes = 0

    def open(self) -> None:
        self.thaw()

    # --- accepting ----------------------------------------------------------------------------------------

    def _on_acceptable(self) -> None:
        assert self._sock is not None
        for _ in range(_ACCEPTS_PER_WAKE_UP):
            if len(self._welcomes) >= self._settings.half_open and not self._make_room():
                return
            try:
                sock, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no file descriptor or memory left: the rest waits in the kernel
                self._refuse(reason_of(error))
                self._pause_accepting(_ACCEPT_PAUSE_S)
                return
            if self._accepted >= self._settings.connections:
                sock.close()
                self._refuse(f"more than {self._settings.connections} connections")
                continue
            self._accepted += 1
            sock.setblocking(False)
            task = self._loop.create_task(self._welcome(sock))
            self._welcomes[task] = self._loop.time()
            task.add_done_callback(self._welcomed)

    def _make_room(self) -> bool:
        """Give up the oldest hand-shake for another one; False where it is too young for that.

        Who means it shakes hands in some round trips, who only holds on is the oldest before long. Of thousands
        that come back at once all mean it: the kernel keeps the rest until some are done.
        """
        oldest, since = next(iter(self._welcomes.items()))
        left_s = since + self._settings.half_open_s - self._loop.time()
        if left_s > 0:
            self._pause_accepting(left_s)
            return False
        del self._welcomes[oldest]
        oldest.cancel()
        self._refuse(f"more than {self._settings.half_open} hand-shakes at once")
        return True

    def _pause_accepting(self, seconds: float) -> None:
        assert self._sock is not None
        self._loop.remove_reader(self._sock.fileno())
        self._next_accept = self._loop.call_later(seconds, self._listen)

    async def _welcome(self, sock: socket.socket) -> None:
        connection = self._connection(None)
        try:
            await self._context.thawed.wait()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            async with asyncio.timeout(self._settings.handshake_s):
                if self._tls:
                    await self._loop.connect_accepted_socket(
                        lambda: connection,
                        sock,
                        ssl=self._tls.accepting,
                        ssl_shutdown_timeout=self._settings.close_wait_s,
                    )
                else:
                    await self._loop.connect_accepted_socket(lambda: connection, sock)
                await connection.until_open()
        except BaseException as error:
            connection.abort("hand-shake given up")
            sock.close()
            self._accepted -= not connection.flow
            if not isinstance(error, OSError):
                raise
            if not isinstance(error, ConnectionError):  # who comes and goes, a health check for one, is no news
                self._refuse(f"hand-shake: {reason_of(error)}")

    def _welcomed(self, task: asyncio.Task[None]) -> None:
        self._welcomes.pop(task, None)
        if self._next_accept and len(self._welcomes) <= self._settings.half_open // 2:
            self._listen()

    def _listen(self) -> None:
        if self._next_accept:
            self._next_accept.cancel()
            self._next_accept = None
        if self._reading and self._sock:
            self._loop.add_reader(self._sock.fileno(), self._on_acceptable)

    def _refuse(self, why: str) -> None:
        if why not in self._refused:
            self._refused[why] = 0
            self._loop.call_later(self._settings.note_interval_s, self._tell_refused, why)
        self._refused[why] += 1

    def _tell_refused(self, why: str) -> None:
        self._context.tell(ConnectionsRefused(self._name, why, self._refused.pop(why)))

    # --- sending ------------------------------------------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        if flow.stream:
            connection = self._connections.get(flow.stream)
            if connection is None or connection.closing:
                self._context.feed((Unreachable(flow, "connection is closed"),))
            else:
                connection.write(data)
            return
        host = self._names.address(flow.peer[0])
        if host is not None:
            self._send_to(flow, (host, flow.peer[1]), data)
            return
        self._names.resolve(
            flow.peer[0],
            lambda address: self._send_to(flow, (address, flow.peer[1]), data),
            lambda reason: self._context.feed((Unreachable(flow, reason),)),
        )

    def _send_to(self, flow: Flow, address: Address, data: bytes) -> None:
        # A certificate is shown for a name, so over TLS a connection serves the name that it was opened to.
        asked = flow.peer if self._tls else address
        connection = self._by_peer.get(asked)
        if connection and not connection.closing:
            if data:
                connection.write(data)
            return
        opening = self._openings.get(asked)
        if opening is None:
            if len(self._connections) - self._accepted + len(self._openings) >= self._settings.connections:
                self._context.feed((Unreachable(flow, "too many connections"),))
                return
            opening = self._openings[asked] = Opening(asked, address)
            opening.task = self._loop.create_task(self._connect(opening))
        if opening.queued_bytes + len(data) > self._settings.connect_queue_bytes:
            self._context.feed((Unreachable(flow, "too much waits for the connection"),))
            return
        opening.add(flow, data)

    async def _connect(self, opening: Opening) -> None:
        connection = self._connection(opening)
        sock = None
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
            sock.setblocking(False)
            if self.interface.host not in _WILDCARDS:
                sock.bind((self.interface.host, 0))  # the peer must see the address that our Via names
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._loop.sock_connect(sock, opening.address)
            await self._context.thawed.wait()
            async with asyncio.timeout(self._settings.handshake_s):
                if self._tls:
                    await self._loop.create_connection(
                        lambda: connection,
                        sock=sock,
                        ssl=self._tls.connecting,
                        server_hostname=opening.asked[0],
                        ssl_shutdown_timeout=self._settings.close_wait_s,
                    )
                else:
                    await self._loop.create_connection(lambda: connection, sock=sock)
                await connection.until_open()
        except BaseException as error:
            connection.abort("hand-shake given up")
            if sock:
                sock.close()
            if not isinstance(error, (OSError, OverflowError)):  # TimeoutError is an OSError
                raise
            reason = "port out of range" if isinstance(error, OverflowError) else reason_of(error)
            flows = dict.fromkeys(flow for flow, _ in opening.queue)
            self._context.feed([Unreachable(flow, reason) for flow in flows])
        finally:
            self._openings.pop(opening.asked, None)

    # --- connections --------------------------------------------------------------------------------------

    def _connection(self, opening: Opening | None) -> Connection:
        if self.interface.whole_messages:
            interface = self.interface
            return WebSocketConnection(opening, self._context, self, interface.origins, interface.subprotocol)
        return Connection(opening, self._context, self)

    def opened(self, connection: Connection, peer: Address) -> Flow:
        """A connection stands: give it its flow."""
        flow = Flow(self._name, peer, next(self._numbers))
        self._connections[flow.stream] = connection
        for address in _addresses(connection, peer):
            self._by_peer[address] = connection
        if not self._reading:
            connection.pause()
        return flow

    def lost(self, connection: Connection) -> None:
        """A connection that stood is gone."""
        flow = connection.flow
        if flow is None or self._connections.pop(flow.stream, None) is None:
            return
        self._accepted -= connection.opening is None
        self._reads += connection.reads
        self._writes += connection.writes
        for address in _addresses(connection, flow.peer):
            if self._by_peer.get(address) is connection:
                del self._by_peer[address]
        if not self._connections:
            self._all_lost.set()

    def ping(self, flow: Flow) -> None:
        connection = self._connections.get(flow.stream)
        if connection:
            connection.ping()

    def close_stream(self, flow: Flow) -> None:
        connection = self._connections.get(flow.stream)
        if connection:
            connection.close("closed by this side")

    def stats(self) -> PortStats:
        return PortStats(
            interface=self._name,
            transport=self.interface.transport,
            received=self._reads + sum(each.reads for each in self._connections.values()),
            sent=self._writes + sum(each.writes for each in self._connections.values()),
            connections=len(self._connections),
        )

    # --- life ---------------------------------------------------------------------------------------------

    def renew(self, interface: Interface, tls: Tls | None) -> None:
        """Take over what may change while connections stand: certificates and origins, for new hand-shakes."""
        self.interface = replace(self.interface, tls=interface.tls, origins=interface.origins)
        self._tls = tls

    def freeze(self) -> None:
        self._rest()
        for connection in self._connections.values():
            connection.pause()

    def thaw(self) -> None:
        self._reading = True
        self._listen()
        for connection in list(self._connections.values()):
            connection.resume()

    def cut(self, hosts: Collection[str]) -> None:
        for connection in list(self._connections.values()):
            if connection.flow and connection.flow.peer[0] in hosts:
                connection.abort("cut")

    def kill(self) -> None:
        self._end()
        for connection in list(self._connections.values()):
            connection.abort("killed")

    async def stop(self) -> None:
        self._end()
        self._all_lost.clear()
        for connection in list(self._connections.values()):
            connection.close("closed by this side")
        if self._connections:
            try:
                async with asyncio.timeout(_STOP_GRACE_S):
                    await self._all_lost.wait()
            except TimeoutError:
                self.kill()

    def _rest(self) -> None:
        """Accept nothing."""
        self._reading = False
        if self._sock:
            self._loop.remove_reader(self._sock.fileno())

    def _end(self) -> None:
        """Neither accept nor open any more; hand-shakes are given up."""
        if self._sock and self._sock.fileno() < 0:
            return
        self._rest()
        self._names.close()
        if self._sock:
            self._sock.close()
        for opening in self._openings.values():
            if opening.task:
                opening.task.cancel()
        self._openings.clear()
        for task in self._welcomes:
            task.cancel()


def _addresses(connection: Connection, peer: Address) -> set[Address]:
    """What a Send may call the peer."""
    opening = connection.opening
    return {peer, opening.asked} if opening else {peer}
