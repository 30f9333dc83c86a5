"""The forwarding thread in plain Python: for machines where the native loop was not built.

It shares the interpreter with signalling, so that each slows the other. What it does with a packet, and in which
order, is what the native loop does; one set of tests holds for both.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from contextlib import suppress
from threading import Condition, Lock, Thread
from time import monotonic, sleep
from typing import Final

from engine.boundary import Address
from engine.live.relay.forwarder import (
    MOST_BYTES,
    MOST_HELD,
    MOST_SSRCS,
    OPEN,
    STRANGER_SLOTS,
    Counters,
    Exceptional,
    Hop,
    Kind,
    Queue,
    Route,
    Security,
    Totals,
)
from engine.live.relay.measures import Reception, RoundTrips
from engine.live.relay.settings import PlaneSettings
from engine.live.relay.srtp import SrtpWay
from engine.live.sockets import kernel_drops
from engine.media.packets import packet_kind
from engine.media.rules import HELD_S

_BATCH: Final = 16  # packets of one port in a turn


class _Allowance:
    """So many packets a second, and as many at once."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = 0.0
        self._at = -1.0

    def grants(self, per_s: int, now: float) -> bool:
        earned = per_s if self._at < 0.0 else (now - self._at) * per_s
        self._left = min(self._left + earned, float(per_s))
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class _Streams:
    """The SSRCs that one way of SRTP keeps state of."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: deque[bytes] = deque()

    def passed(self, way: SrtpWay, ssrc: bytes) -> None:
        if ssrc in self._known:
            return
        if len(self._known) == MOST_SSRCS:
            way.forget(int.from_bytes(self._known.popleft()))
        self._known.append(ssrc)


class _Port:
    """One socket with all that belongs to it."""

    __slots__ = (
        "allowances",
        "dropped",
        "hand_shake",
        "heard_at",
        "held",
        "known_drops",
        "number",
        "received_streams",
        "reception",
        "round_trips",
        "route",
        "security",
        "sent_streams",
        "sock",
    )

    def __init__(self, number: int, sock: socket.socket, now: float) -> None:
        self.number = number
        self.sock = sock
        self.security = OPEN
        self.route: Route | None = None
        self.reception = Reception()
        self.round_trips = RoundTrips()
        self.received_streams = _Streams()
        self.sent_streams = _Streams()
        self.dropped = 0
        self.heard_at = now
        self.hand_shake = _Allowance()
        self.held = _Held()
        self.known_drops = 0
        # One of the believed sources, the others of strangers.
        self.allowances = tuple(_Allowance() for _ in range(STRANGER_SLOTS + 1))


class _Held:
    """DTLS that came before a peer was named."""

    __slots__ = ("_at", "_flight", "_source")

    def __init__(self) -> None:
        self._source: Address | None = None
        self._flight: list[bytes] = []
        self._at = 0.0

    def add(self, source: Address, data: bytes, now: float) -> bool:
        """Keep the first flight of one source; who repeats it says nothing new."""
        if not self._flight:
            self._source, self._at = source, now
        if source != self._source or len(self._flight) == MOST_HELD:
            return False
        self._flight.append(data)
        return True

    def take(self, peer: Address, now: float) -> tuple[bool, list[bytes]]:
        """Its peer is named: whether it has said what is held, and that."""
        flight, self._flight = self._flight, []
        return self._source == peer and now - self._at <= HELD_S, flight

    def outdated(self, now: float) -> int:
        """Forget what nobody was named for in time; how much that was."""
        return self.forget() if now - self._at > HELD_S else 0

    def forget(self) -> int:
        """Forget all; how much that was."""
        count = len(self._flight)
        self._flight.clear()
        return count


class PortableForwarder:
    """See `Forwarder`."""

    def __init__(self, settings: PlaneSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._ports: dict[int, _Port] = {}
        self._numbers = 0
        self._selector = selectors.DefaultSelector()
        self._queues = {queue: deque[Exceptional]() for queue in Queue}
        self._filled = {queue: Condition(self._lock) for queue in Queue}
        self._woken: set[Queue] = set()
        self._for_engine, self._to_engine = _pipe()
        self._for_thread, self._to_thread = _pipe()
        self._selector.register(self._for_thread, selectors.EVENT_READ, None)
        self._received = self._forwarded = self._dropped = self._shed = self._unsent = self._unqueued = 0
        self._shedding = False
        self._ended = False
        self._thread = Thread(target=self._run, name="siptwin-media", daemon=True)
        self._thread.start()

    # --- the table ---

    def add(self, sock: socket.socket) -> int:
        with self._lock:
            self._numbers += 1
            ours = socket.socket(fileno=sock.detach())
            ours.setblocking(False)
            port = self._ports[self._numbers] = _Port(self._numbers, ours, monotonic())
            self._selector.register(ours, selectors.EVENT_READ, port)
            return port.number

    def remove(self, number: int) -> Counters:
        with self._lock:
            port = self._ports.pop(number)
            counters = self._take_counters(port)
            self._selector.unregister(port.sock)
            port.sock.close()
            return counters

    def secure(self, number: int, security: Security) -> None:
        with self._lock:
            port = self._ports[number]
            if security.receive is not port.security.receive:
                port.received_streams = _Streams()
            if security.send is not port.security.send:
                port.sent_streams = _Streams()
            port.security = security
            if security.peer is not None:
                known, flight = port.held.take(security.peer, monotonic())
                for data in flight if known else ():
                    self._queue(Queue.HANDSHAKES, Exceptional(number, security.peer, data, False))
                if not known:
                    self._drop(port, len(flight))

    def route(self, number: int, route: Route | None) -> None:
        with self._lock:
            port = self._ports[number]
            if port.route is None:
                port.heard_at = monotonic()
            port.route = route
            awaits = port.security.locked or port.security.peer is not None
            if route is not None and route.rtp is not None and not awaits:
                self._drop(port, port.held.forget())  # speech flows without keys: there will be no hand-shake

    def send(self, number: int, target: Address, data: bytes, kind: Kind) -> bool:
        with self._lock:
            port = self._ports.get(number)
            sent = port is not None and self._send(port, target, data, kind, monotonic())
            self._forwarded += sent and kind is not Kind.PLAIN
            return sent

    def take_counters(self, number: int) -> Counters:
        with self._lock:
            return self._take_counters(self._ports[number])

    def totals(self) -> Totals:
        with self._lock:
            return Totals(self._received, self._forwarded, self._dropped, self._shed, self._unsent, self._unqueued)

    def _take_counters(self, port: _Port) -> Counters:
        drops = kernel_drops(port.sock)
        reception = port.reception
        counters = Counters(
            packets=reception.packets,
            octets=reception.octets,
            lost=reception.lost,
            jitter_ms=reception.jitter_ms,
            round_trip_ms=port.round_trips.latest_ms,
            silent_s=monotonic() - port.heard_at,
            dropped=port.dropped,
            overflowed=(drops - port.known_drops) & 0xFFFFFFFF,
        )
        reception.restart()
        port.round_trips.latest_ms = None
        port.dropped = 0
        port.known_drops = drops
        return counters

    # --- the queues ---

    def fileno(self) -> int:
        return self._for_engine.fileno()

    def take(self, most: int) -> list[Exceptional]:
        with self._lock:
            queue = self._queues[Queue.ENGINE]
            taken = [queue.popleft() for _ in range(min(most, len(queue)))]
            if not queue:
                _drain(self._for_engine)
            return taken

    def wait(self, queue: Queue, timeout_s: float) -> list[Exceptional]:
        with self._lock:
            waiting = self._queues[queue]
            if not (waiting or self._ended or queue in self._woken):
                self._filled[queue].wait(timeout_s)
            self._woken.discard(queue)
            taken = list(waiting)
            waiting.clear()
            return taken

    def wake(self, queue: Queue) -> None:
        with self._lock:
            self._woken.add(queue)
            self._filled[queue].notify_all()

    def stop(self) -> None:
        with self._lock:
            self._ended = True
            for condition in self._filled.values():
                condition.notify_all()
        _poke(self._to_thread)
        self._thread.join()
        for port in self._ports.values():
            port.sock.close()
        self._ports.clear()
        self._selector.close()
        for end in (self._for_engine, self._to_engine, self._for_thread, self._to_thread):
            end.close()

    def _queue(self, queue: Queue, event: Exceptional) -> None:
        waiting = self._queues[queue]
        if len(waiting) >= self._settings.events:
            self._unqueued += 1
            return
        waiting.append(event)
        if queue is not Queue.ENGINE:
            self._filled[queue].notify()
        elif len(waiting) == 1:
            _poke(self._to_engine)

    # --- the thread ---

    def _run(self) -> None:
        settings = self._settings
        late = False
        while not self._ended:
            idle = monotonic()
            ready = self._selector.select()
            began = monotonic()
            for key, _ in ready:
                if key.data is None:
                    _drain(self._for_thread)
                    continue
                with self._lock:
                    if key.data.number in self._ports:
                        self._read(key.data, began)
            took_s = monotonic() - began
            self._shedding = late and took_s > settings.late_s
            late = took_s > settings.late_s
            # Where packets are few a pause would gather none, and be a wake-up more.
            if began - idle < settings.gather_s / 2 and took_s < settings.gather_s:
                sleep(settings.gather_s - took_s)

    def _read(self, port: _Port, now: float) -> None:
        packets: list[tuple[bytes, Address]] = []
        with suppress(BlockingIOError):
            for _ in range(_BATCH):
                data, source = port.sock.recvfrom(MOST_BYTES + 1)
                packets.append((data, source[:2]))
        self._received += len(packets)
        if self._shedding and len(packets) > 1:
            self._shed += len(packets) - 1
            packets = packets[-1:]
        for data, source in packets:
            self._packet(port, data, source, now)

    # --- one packet ---

    def _packet(self, port: _Port, data: bytes, source: Address, now: float) -> None:
        if len(data) > MOST_BYTES:
            self._drop(port)
            return
        kind = packet_kind(data)
        if kind == "dtls":
            if source == port.security.peer:
                if port.hand_shake.grants(self._settings.stranger_packets_per_s, now):
                    self._queue(Queue.HANDSHAKES, Exceptional(port.number, source, data, False))
                else:
                    self._unqueued += 1
            elif port.security.peer is not None:
                self._drop(port)
            else:
                self._drop(port, port.held.outdated(now))
                if not port.held.add(source, data, now):
                    self._drop(port)
            return
        proven = False
        if kind == "rtp" or kind == "rtcp":
            way = port.security.receive
            if port.security.locked:
                self._drop(port)
                return
            if way is not None:
                plain = way.unprotect(data) if kind == "rtp" else way.unprotect_rtcp(data)
                if plain is None:
                    self._drop(port)
                    return
                port.received_streams.passed(way, plain[8:12] if kind == "rtp" else plain[4:8])
                data = plain
                proven = True
        route = port.route
        believed = route is not None and source in route.sources
        if believed and route is not None and kind == "rtp":
            self._rtp(port, route, data, source, now)
        elif believed and route is not None and kind == "rtcp":
            self._rtcp(port, route, data, source, now)
        else:
            if route is not None and kind != "stun":
                self._drop(port)
            slot = 0 if believed else 1 + (hash(source) % STRANGER_SLOTS)
            if port.allowances[slot].grants(self._settings.stranger_packets_per_s, now):
                self._queue(Queue.ENGINE, Exceptional(port.number, source, data, proven))
            else:
                self._unqueued += 1

    def _rtp(self, port: _Port, route: Route, data: bytes, source: Address, now: float) -> None:
        if not _has_whole_header(data):
            self._drop(port)
            return
        port.heard_at = now
        number, clock_hz = data[1] & 0x7F, 0
        if route.payloads is not None:
            outgoing = route.payloads.get(number)
            if outgoing is None:
                port.reception.came(data, 0, now)
                self._drop(port)
                return
            number, clock_hz = outgoing
        repeated = port.reception.came(data, clock_hz, now)
        if route.rtp is None:
            return
        if route.detour:
            self._queue(Queue.CODECS, Exceptional(port.number, source, data, True))
            return
        if route.payloads is not None:
            marker = 0 if repeated else data[1] & 0x80
            if number | marker != data[1]:
                data = b"%c%c%b" % (data[0], number | marker, data[2:])
        self._forward(route.rtp, data, Kind.RTP, now)

    def _rtcp(self, port: _Port, route: Route, data: bytes, source: Address, now: float) -> None:
        port.round_trips.came(data, now)
        if route.rtcp is None:
            return
        if route.detour:
            self._queue(Queue.CODECS, Exceptional(port.number, source, data, True))
            return
        self._forward(route.rtcp, data, Kind.RTCP, now)

    def _drop(self, port: _Port, count: int = 1) -> None:
        port.dropped += count
        self._dropped += count

    def _forward(self, hop: Hop, data: bytes, kind: Kind, now: float) -> None:
        port = self._ports.get(hop.number)
        if port is not None and self._send(port, hop.target, data, kind, now):
            self._forwarded += 1

    def _send(self, port: _Port, target: Address, data: bytes, kind: Kind, now: float) -> bool:
        if kind is Kind.RTCP:
            port.round_trips.sent(data, now)
        if kind is not Kind.PLAIN:
            if port.security.locked:
                self._dropped += 1
                return False
            way = port.security.send
            if way is not None:
                secured = way.protect(data) if kind is Kind.RTP else way.protect_rtcp(data)
                if secured is None:
                    self._unsent += 1
                    return False
                port.sent_streams.passed(way, data[8:12] if kind is Kind.RTP else data[4:8])
                data = secured
        try:
            port.sock.sendto(data, target)
        except OSError:
            self._unsent += 1
            return False
        return True


def _has_whole_header(data: bytes) -> bool:
    """Contributing sources and extension as far as the header tells of them (RFC 3550 §5.1, §5.3.1)."""
    needed = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        needed += 4 + 4 * int.from_bytes(data[needed + 2 : needed + 4])
    return len(data) >= needed


def _pipe() -> tuple[socket.socket, socket.socket]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    return ends


def _poke(end: socket.socket) -> None:
    with suppress(BlockingIOError):
        end.send(b"\0")


def _drain(end: socket.socket) -> None:
    with suppress(BlockingIOError):
        while end.recv(64):
            pass
