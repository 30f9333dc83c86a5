"""One TCP interface: a listening socket, the connections it accepted, and those opened for Sends."""

from __future__ import annotations

import asyncio
import socket
from itertools import count
from typing import Any

from engine.boundary import Address, Flow, Interface, Unreachable
from engine.live.connection import Connection, Opening
from engine.live.errors import reason_of
from engine.live.names import Names
from engine.live.port import Context, PortStats
from engine.notes import ConnectionsRefused

_ACCEPTS_PER_WAKE_UP = 64
_ACCEPT_PAUSE_S = 1.0  # without a free file descriptor
_NOTE_INTERVAL_S = 1.0
_STOP_GRACE_S = 1.0
_SWEEPS_PER_IDLE_TIME = 4
_WILDCARDS = {"0.0.0.0", "::"}


class TcpPort:
    """Numbers connections from 1, bounds them, closes idle ones, opens one where a Send has no stream."""

    def __init__(self, interface: Interface, sock: socket.socket, context: Context) -> None:
        self.interface = interface
        self._name = interface.name
        self._sock = sock
        self._context = context
        self._settings = context.settings
        self._loop = context.loop
        self._names = Names(sock.family, context.settings, context.loop, context.thawed)
        self._numbers = count(1)
        self._connections: dict[int, Connection] = {}
        self._by_peer: dict[Address, Connection] = {}
        self._accepted = 0
        self._openings: dict[Address, Opening] = {}
        self._welcomes: set[asyncio.Task[None]] = set()
        self._all_lost = asyncio.Event()
        self._sweep_handle: asyncio.TimerHandle | None = None
        self._listening = False
        self._refused: dict[str, int] = {}
        self._reads = 0
        self._writes = 0

    def open(self) -> None:
        self.thaw()

    # --- accepting ----------------------------------------------------------------------------------------

    def _on_acceptable(self) -> None:
        for _ in range(_ACCEPTS_PER_WAKE_UP):
            try:
                sock, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no file descriptor or memory left: the rest waits in the kernel
                self._refuse(reason_of(error))
                self._loop.remove_reader(self._sock.fileno())
                self._loop.call_later(_ACCEPT_PAUSE_S, self._listen)
                return
            if self._accepted >= self._settings.connections:
                sock.close()
                self._refuse(f"more than {self._settings.connections} connections")
                continue
            self._accepted += 1
            sock.setblocking(False)
            task = self._loop.create_task(self._welcome(sock))
            self._welcomes.add(task)
            task.add_done_callback(self._welcomes.discard)

    async def _welcome(self, sock: socket.socket) -> None:
        try:
            await self._context.thawed.wait()
            connection = self._connection(sock, None)
        except BaseException as error:
            sock.close()
            self._accepted -= 1
            if isinstance(error, OSError):  # gone before we could look at it
                return
            raise
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except BaseException as error:
            sock.close()
            self._forget(connection)
            if not isinstance(error, OSError):
                raise

    def _listen(self) -> None:
        if self._listening:
            self._loop.add_reader(self._sock.fileno(), self._on_acceptable)

    def _refuse(self, why: str) -> None:
        if why not in self._refused:
            self._refused[why] = 0
            self._loop.call_later(_NOTE_INTERVAL_S, self._tell_refused, why)
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

    def _send_to(self, flow: Flow, peer: Address, data: bytes) -> None:
        connection = self._by_peer.get(peer)
        if connection and not connection.closing:
            connection.write(data)
            return
        opening = self._openings.get(peer)
        if opening is None:
            if len(self._connections) - self._accepted + len(self._openings) >= self._settings.connections:
                self._context.feed((Unreachable(flow, "too many connections"),))
                return
            opening = self._openings[peer] = Opening(peer)
            opening.task = self._loop.create_task(self._connect(opening))
        if opening.queued_bytes + len(data) > self._settings.connect_queue_bytes:
            self._context.feed((Unreachable(flow, "too much waits for the connection"),))
            return
        opening.add(flow, data)

    async def _connect(self, opening: Opening) -> None:
        sock = socket.socket(self._sock.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            if self.interface.host not in _WILDCARDS:
                sock.bind((self.interface.host, 0))  # the peer must see the address that our Via names
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._loop.sock_connect(sock, opening.peer)
            await self._context.thawed.wait()
            connection = self._connection(sock, opening)
            await self._loop.create_connection(lambda: connection, sock=sock)
        except (OSError, OverflowError) as error:  # TimeoutError is an OSError
            sock.close()
            reason = "port out of range" if isinstance(error, OverflowError) else reason_of(error)
            flows = dict.fromkeys(flow for flow, _ in opening.queue)
            self._context.feed([Unreachable(flow, reason) for flow in flows])
        except asyncio.CancelledError:
            sock.close()
            raise
        finally:
            self._openings.pop(opening.peer, None)

    # --- connections --------------------------------------------------------------------------------------

    def _connection(self, sock: socket.socket, opening: Opening | None) -> Connection:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        peer: Any = sock.getpeername()
        flow = Flow(self._name, (peer[0], peer[1]), next(self._numbers))
        connection = Connection(flow, opening, self._context, self._forget)
        self._connections[flow.stream] = connection
        for address in connection.addresses:
            self._by_peer[address] = connection
        return connection

    def _forget(self, connection: Connection) -> None:
        if self._connections.pop(connection.flow.stream, None) is None:
            return
        self._accepted -= connection.opening is None
        self._reads += connection.reads
        self._writes += connection.writes
        for address in connection.addresses:
            if self._by_peer.get(address) is connection:
                del self._by_peer[address]
        if not self._connections:
            self._all_lost.set()

    def ping(self, flow: Flow) -> None:
        """Only WebSocket has pings."""

    def close_stream(self, flow: Flow) -> None:
        connection = self._connections.get(flow.stream)
        if connection:
            connection.close("closed by this side")

    def _sweep(self) -> None:
        """Close what is idle; abort what was closed but whose peer doesn't take the rest."""
        idle_s = self._settings.idle_s
        silent_since = self._loop.time() - idle_s
        for connection in list(self._connections.values()):
            if connection.last_heard <= silent_since:
                if connection.closing:
                    connection.abort("closed by this side")
                else:
                    connection.close(f"idle for {idle_s:g} s")
        self._sweep_handle = self._loop.call_later(idle_s / _SWEEPS_PER_IDLE_TIME, self._sweep)

    def stats(self) -> PortStats:
        return PortStats(
            interface=self._name,
            transport="tcp",
            received=self._reads + sum(each.reads for each in self._connections.values()),
            sent=self._writes + sum(each.writes for each in self._connections.values()),
            connections=len(self._connections),
        )

    # --- life ---------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        self._listening = False
        self._loop.remove_reader(self._sock.fileno())
        if self._sweep_handle:
            self._sweep_handle.cancel()
        for connection in self._connections.values():
            connection.pause()

    def thaw(self) -> None:
        self._listening = True
        self._listen()
        for connection in list(self._connections.values()):
            connection.resume()
        self._sweep_handle = self._loop.call_later(self._settings.idle_s / _SWEEPS_PER_IDLE_TIME, self._sweep)

    def kill(self) -> None:
        self._close_listener()
        for connection in list(self._connections.values()):
            connection.abort("killed")

    async def stop(self) -> None:
        self._close_listener()
        self._all_lost.clear()
        for connection in list(self._connections.values()):
            connection.close("closed by this side")
        if self._connections:
            try:
                async with asyncio.timeout(_STOP_GRACE_S):
                    await self._all_lost.wait()
            except TimeoutError:
                self.kill()

    def _close_listener(self) -> None:
        if self._sock.fileno() < 0:
            return
        self.freeze()
        self._names.close()
        self._sock.close()
        for opening in self._openings.values():
            if opening.task:
                opening.task.cancel()
        self._openings.clear()
        for task in self._welcomes:
            task.cancel()
