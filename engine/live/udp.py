"""One UDP interface on one non-blocking socket.

Not asyncio's DatagramProtocol: that reads one datagram per wake-up, keeps an unbounded send buffer and cannot see
the socket's error queue.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Collection
from typing import Final

from engine.boundary import Address, Datagram, Flow, Input, Interface, Unreachable
from engine.live.errors import reason_of
from engine.live.icmp import read_error
from engine.live.names import Names
from engine.live.notes import BufferShort, DatagramsLost
from engine.live.port import Context, PortStats
from engine.live.sockets import kernel_drops, size_buffer
from engine.live.tls import Tls

_DATAGRAM_BYTES: Final = 65_535
_FLOWS_MOST: Final = 4096
_LOSS_CHECK_S: Final = 1.0
_SEND_TRIES: Final = 3
_BUFFERS: Final = ((socket.SO_RCVBUF, "receive", "rmem_max"), (socket.SO_SNDBUF, "send", "wmem_max"))


class UdpPort:
    """Reads batches, sends at once, queues a little when the kernel takes none, notices ICMP errors and losses."""

    def __init__(self, interface: Interface, sock: socket.socket, context: Context) -> None:
        self.interface = interface
        self._name = interface.name
        self._sock = sock
        self._fd = sock.fileno()
        self._context = context
        self._loop = context.loop
        self._names = Names(sock.family, context.settings, context.loop, context.thawed)
        # libuv stops watching a descriptor that reports POLLERR. asyncio's own loops go on; to watch anew there
        # would take back a callback that is due already.
        self._watch_ends_on_error = not isinstance(context.loop, asyncio.BaseEventLoop)
        # One place for all, that stays in the caches: an object of the largest size for each would not.
        self._space = memoryview(bytearray(_DATAGRAM_BYTES))
        self._flows: dict[tuple[str | int, ...], Flow] = {}  # by the peer's address, as the socket tells it
        self._queue: deque[tuple[Flow, bytes, Address]] = deque()
        self._expected = 1
        self._reading = False
        self._loss_check_due = False
        self._drops_told = 0
        self._queue_losses = 0
        self._queue_losses_told = 0
        self._received = 0
        self._sent = 0

    def open(self) -> None:
        asked = self._context.settings.socket_buffer_bytes
        for option, name, bound in _BUFFERS:
            granted = size_buffer(self._sock, option, asked)
            if granted < asked:
                remedy = f"sysctl -w net.core.{bound}={asked}, or grant CAP_NET_ADMIN"
                self._context.tell(BufferShort(self._name, name, asked, granted, remedy))
        self.thaw()

    # --- receiving ----------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        recvfrom_into, space = self._sock.recvfrom_into, self._space
        flows = self._flows
        batch: list[Input] = []
        try:
            for _ in range(self._expected):
                size, peer = recvfrom_into(space)
                flow = flows.get(peer)
                if flow is None:
                    flow = self._remember_flow(peer)
                batch.append(Datagram(flow, space[:size].tobytes()))
        except BlockingIOError:
            if not batch:  # woken for nothing to read: errors wait, even where a send has taken the pending one
                self._read_errors()
        except OSError:
            # the pending error of an earlier send, told once by any call; it says nothing of this read
            self._read_errors()
        # A read that finds nothing costs as much as one that finds something: ask for as many as came last time,
        # and for twice as many when there might have been more.
        count = len(batch)
        self._expected = min(2 * count, self._context.settings.batch) if count == self._expected else count or 1
        if batch:
            self._received += count
            if not self._loss_check_due:
                self._loss_check_due = True
                self._loop.call_later(_LOSS_CHECK_S, self._tell_losses)
            self._context.feed(batch)

    def _remember_flow(self, peer: tuple[str | int, ...]) -> Flow:
        """The same peers write again and again; one of IPv6 comes as (host, port, flow label, scope)."""
        if len(self._flows) >= _FLOWS_MOST:
            self._flows.clear()
        flow = self._flows[peer] = Flow(self._name, (str(peer[0]), int(peer[1])))
        return flow

    def _read_errors(self) -> int:
        """Empty the error queue, up to a batch; return how many errors it held."""
        lost: list[Input] = []
        count = 0
        try:
            for _ in range(self._context.settings.batch):
                error = read_error(self._sock)
                count += 1
                if error:
                    host, port = error.peer
                    known_as = (host, *self._names.names_of(host))
                    lost += [Unreachable(Flow(self._name, (each, port)), error.reason) for each in known_as]
        except OSError:
            pass  # empty
        if self._watch_ends_on_error:
            self._loop.call_soon(self._watch)  # after the callback that ends it
        if lost:
            self._context.feed(lost)
        return count

    def _watch(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._fd)
            self._loop.add_reader(self._fd, self._on_readable)
            if self._queue:
                self._loop.remove_writer(self._fd)
                self._loop.add_writer(self._fd, self._flush)

    # --- sending ------------------------------------------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        peer = flow.peer
        if peer[0] in self._names.literals and not self._queue:  # the hot path
            try:
                self._sock.sendto(data, peer)
                self._sent += 1
            except (OSError, OverflowError) as error:
                self._send_failed(flow, data, peer, error)
            return
        host = self._names.address(peer[0])
        if host is not None:
            self._transmit(flow, data, (host, peer[1]))
            return
        self._names.resolve(
            peer[0],
            lambda address: self._transmit(flow, data, (address, peer[1])),
            lambda reason: self._context.feed((Unreachable(flow, reason),)),
        )

    def _transmit(self, flow: Flow, data: bytes, peer: Address) -> None:
        if self._queue:
            self._enqueue(flow, data, peer)
            return
        try:
            self._sock.sendto(data, peer)
            self._sent += 1
        except (OSError, OverflowError) as error:
            self._send_failed(flow, data, peer, error)

    def _send_failed(self, flow: Flow, data: bytes, peer: Address, error: OSError | OverflowError) -> None:
        tries = _SEND_TRIES
        while not isinstance(error, (BlockingIOError, OverflowError)) and error.errno != errno.ENOBUFS:
            # The error may be that of an earlier send to someone else, and this datagram was not sent: ip(7).
            tries -= 1
            if not tries or not self._read_errors():
                break
            try:
                self._sock.sendto(data, peer)
            except (OSError, OverflowError) as again:
                error = again
            else:
                self._sent += 1
                return
        if isinstance(error, BlockingIOError):
            self._enqueue(flow, data, peer)
        elif isinstance(error, OSError) and error.errno == errno.ENOBUFS:
            self._lose()
        else:
            reason = "port out of range" if isinstance(error, OverflowError) else reason_of(error)
            self._context.feed((Unreachable(flow, reason),))

    def _enqueue(self, flow: Flow, data: bytes, peer: Address) -> None:
        if len(self._queue) >= self._context.settings.send_queue:
            self._lose()
            return
        self._queue.append((flow, data, peer))
        if len(self._queue) == 1:
            self._loop.add_writer(self._fd, self._flush)

    def _flush(self) -> None:
        queue = self._queue
        while queue:
            flow, data, peer = queue[0]
            try:
                self._sock.sendto(data, peer)
                self._sent += 1
            except BlockingIOError:
                return
            except (OSError, OverflowError) as error:
                self._send_failed(flow, data, peer, error)
            queue.popleft()
        self._loop.remove_writer(self._fd)

    # --- losses -------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        self._queue_losses += 1
        if not self._loss_check_due:
            self._loss_check_due = True
            self._loop.call_later(_LOSS_CHECK_S, self._tell_losses)

    def _tell_losses(self) -> None:
        self._loss_check_due = False
        if not self._reading:
            return
        drops = kernel_drops(self._sock)
        if drops != self._drops_told:
            self._context.tell(DatagramsLost(self._name, "kernel", (drops - self._drops_told) % 2**32))
            self._drops_told = drops
        if self._queue_losses != self._queue_losses_told:
            lost = self._queue_losses - self._queue_losses_told
            self._context.tell(DatagramsLost(self._name, "send queue", lost))
            self._queue_losses_told = self._queue_losses

    def cut(self, hosts: Collection[str]) -> None:
        """Datagrams know no connections."""

    def stats(self) -> PortStats:
        return PortStats(
            interface=self._name,
            transport="udp",
            received=self._received,
            sent=self._sent,
            lost_kernel=kernel_drops(self._sock),
            lost_queue=self._queue_losses,
        )

    # --- life ---------------------------------------------------------------------------------------------

    def ping(self, flow: Flow) -> None:
        """Only WebSocket has pings."""

    def close_stream(self, flow: Flow) -> None:
        """A datagram has no stream: nothing to close."""

    def renew(self, interface: Interface, tls: Tls | None) -> None:
        """Nothing of a datagram interface can change."""

    def freeze(self) -> None:
        self._reading = False
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)

    def thaw(self) -> None:
        self._reading = True
        self._loop.add_reader(self._fd, self._on_readable)
        if self._queue:
            self._loop.add_writer(self._fd, self._flush)

    def kill(self) -> None:
        self.freeze()
        self._queue.clear()
        self._names.close()
        self._sock.close()

    async def stop(self) -> None:
        if self._queue and self._reading:
            self._flush()
        self.kill()
