"""The data plane as its host sees it: orders in, events out, both in the host's event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from engine.boundary import Address
from engine.live.notes import MediaLost
from engine.live.relay.certificate import Certificate
from engine.live.relay.codecs import CodecThread, Detour, can_transcode
from engine.live.relay.dtls import Keys
from engine.live.relay.forwarder import (
    OPEN,
    Counters,
    Forwarder,
    Hop,
    Kind,
    Route,
    Security,
    open_forwarder,
)
from engine.live.relay.handshakes import Handshakes
from engine.live.relay.settings import PlaneSettings
from engine.live.relay.srtp import SrtpWay
from engine.live.sockets import allow_open_files, family_of
from engine.media import rules
from engine.media.rules import (
    AddRule,
    BindPorts,
    ChangeRule,
    Dtls,
    DtlsEnded,
    MediaEffect,
    MediaInput,
    MediaPacket,
    MediaStats,
    Port,
    PortsFailed,
    ReleasePorts,
    RemoveRule,
    Rule,
    Sdes,
    SecurePort,
    SendMedia,
    Way,
)

_EVENTS_A_TURN: Final = 64  # then signalling has its turn
_BUCKETS: Final = 50  # pairs are asked for their statistics in turns, so that a thousand calls make no pause


class PlaneStats(NamedTuple):
    """Counters since the start; all but the first three are packets that went nowhere."""

    ports: int
    received: int
    forwarded: int
    dropped: int  # from strangers, unauthenticated, before there were keys, of payload types not agreed
    shed: int  # for being late, under overload
    overflowed: int  # the kernel had no room for them
    unsent: int  # the kernel did not take them
    unqueued: int  # for engine, hand-shakes or codecs, beyond allowance or room
    faults: int  # hand-shakes or codecs failed on them as they never should, or an order named no IP address


class _Bound:
    """One port that stands."""

    __slots__ = ("association", "is_detoured", "is_ruled", "number", "receive", "security", "send")

    def __init__(self, number: int) -> None:
        self.number = number
        self.security: rules.Security = None
        self.receive: SrtpWay | None = None
        self.send: SrtpWay | None = None
        self.association = 0
        self.is_ruled = False
        self.is_detoured = False


def is_free(hosts: Mapping[str, str], interface: str, number: int) -> bool:
    """Whether a pair of ports can be bound, here and now. An address that is not ours is another's trouble."""
    for each in (number, number + 1):
        try:
            _open(hosts[interface], each).close()
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


class MediaPlane:
    """Ports, keys and rules on real sockets.

    Parameters
    ----------
    hosts
        The address to bind for each interface, an IP literal, by the names that rules use.
    on_input
        Called in the event loop with what happens; never from within ``carry_out``. It must not block.
    certificate
        What DTLS peers are shown; without one a port that is to be secured by DTLS stays shut.
    """

    def __init__(
        self,
        hosts: Mapping[str, str],
        on_input: Callable[[MediaInput], None],
        *,
        certificate: Certificate | None = None,
        settings: PlaneSettings | None = None,
    ) -> None:
        self._hosts = dict(hosts)
        self._on_input = on_input
        self._certificate = certificate
        self._settings = settings or PlaneSettings()
        self._ports: dict[Port, _Bound] = {}
        self._names: dict[int, Port] = {}
        self._associations: dict[int, Port] = {}
        self._last_association = 0
        self._buckets: list[dict[Port, None]] = [{} for _ in range(_BUCKETS)]
        self._bucket = 0
        self._overflowed = 0
        self._refused = 0
        self._on_lost: Callable[[MediaLost], None] = _ignore
        self._lost_before = MediaLost()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forwarder: Forwarder | None = None
        self._handshakes: Handshakes | None = None
        self._codecs: CodecThread | None = None
        self._timer: asyncio.Handle | None = None

    # --- life ---

    def start(self, on_lost: Callable[[MediaLost], None] | None = None) -> None:
        """Begin, in the running event loop; ``on_lost`` is told of overload, with the statistics."""
        self._on_lost = on_lost or _ignore
        loop = self._loop = asyncio.get_running_loop()
        allow_open_files()
        forwarder = self._forwarder = open_forwarder(self._settings)
        if self._certificate is not None:
            self._handshakes = Handshakes(
                forwarder, self._certificate, self._settings.handshake_s, self._on_handshake
            )
        loop.add_reader(forwarder.fileno(), self._on_packets)
        self._timer = loop.call_later(self._settings.stats_s / _BUCKETS, self._on_timer)

    def stop(self) -> None:
        """Close all ports, and tell nothing any more."""
        loop, forwarder = self._loop, self._forwarder
        if loop is None or forwarder is None:
            return
        self._loop = self._forwarder = None
        if self._timer is not None:
            self._timer.cancel()
        loop.remove_reader(forwarder.fileno())
        if self._handshakes is not None:
            self._handshakes.stop()
        if self._codecs is not None:
            self._codecs.stop()
            self._codecs = None
        forwarder.stop()
        self._ports.clear()
        self._names.clear()
        self._associations.clear()
        for bucket in self._buckets:
            bucket.clear()

    def stats(self) -> PlaneStats:
        """Counters of the whole plane."""
        totals = self._running.totals()
        return PlaneStats(
            ports=len(self._ports),
            received=totals.received,
            forwarded=totals.forwarded,
            dropped=totals.dropped,
            shed=totals.shed,
            overflowed=self._overflowed,
            unsent=totals.unsent,
            unqueued=totals.unqueued,
            faults=self._refused
            + sum(each.faults for each in (self._handshakes, self._codecs) if each is not None),
        )

    @property
    def _running(self) -> Forwarder:
        if self._forwarder is None:
            raise RuntimeError("the data plane is not running: call start() first")
        return self._forwarder

    # --- orders ---

    def carry_out(self, effect: MediaEffect) -> None:
        """Obey one order. What is about a port that isn't bound, for it failed or was released, is passed over.

        What isn't an IP address and a port is counted as a fault, and nothing is taken from there or sent there.
        """
        if isinstance(effect, SendMedia):
            bound = self._ports.get(effect.port)
            if bound is not None and self._is_address(effect.target):
                self._running.send(bound.number, effect.target, effect.data, Kind.PLAIN)
        elif isinstance(effect, AddRule | ChangeRule):
            self._rule(effect.port, effect.rule)
        elif isinstance(effect, SecurePort):
            self._secure(effect.port, effect.security)
        elif isinstance(effect, BindPorts):
            self._bind(effect.port)
        elif isinstance(effect, ReleasePorts):
            self._release(effect.port)
        elif isinstance(effect, RemoveRule):
            self._unrule(effect.port)

    def _bind(self, port: Port) -> None:
        forwarder = self._running
        host = self._hosts[port.interface]
        pair = (port, port._replace(number=port.number + 1))
        numbers: list[int] = []
        try:
            for one in pair:
                with _open(host, one.number) as sock:  # closed here, unless it was taken over
                    numbers.append(forwarder.add(sock))
        except OSError as error:
            for number in numbers:
                forwarder.remove(number)
            self._tell_soon(PortsFailed(port, error.strerror or str(error)))
            return
        for one, number in zip(pair, numbers, strict=True):
            self._ports[one] = _Bound(number)
            self._names[number] = one
        self._buckets[port.number // 2 % _BUCKETS][port] = None

    def _release(self, port: Port) -> None:
        second = port._replace(number=port.number + 1)
        if port not in self._ports:
            return
        was_ruled = self._ports[port].is_ruled or self._ports[second].is_ruled
        counters = [self._close(one) for one in (port, second)]
        self._buckets[port.number // 2 % _BUCKETS].pop(port, None)
        if was_ruled:
            self._tell_soon(self._stats_of(port, *counters))

    def _close(self, port: Port) -> Counters:
        bound = self._ports.pop(port)
        del self._names[bound.number]
        self._end_association(bound)
        self._detour(bound, None)
        return self._running.remove(bound.number)

    def _rule(self, port: Port, rule: Rule) -> None:
        bound = self._ports.get(port)
        if bound is None:
            return
        bound.is_ruled = True
        known = None
        if rule.payloads is not None:
            able = can_transcode()
            known = {number: one for number, one in rule.payloads.items() if able or one.decode is None}
        detours = known is not None and any(
            one.decode is not None or one.clock_in_hz != one.clock_out_hz for one in known.values()
        )
        route = Route(
            sources=tuple(filter(self._is_address, rule.sources)),
            rtp=self._hop(rule.rtp),
            rtcp=self._hop(rule.rtcp),
            payloads=None
            if known is None
            else {number: (one.payload_type, one.clock_in_hz) for number, one in known.items()},
            detour=detours,
        )
        pair = self._ports[port._replace(number=port.number & ~1)]
        self._detour(bound, Detour(pair.number, known, route.rtp, route.rtcp) if detours and known else None)
        self._running.route(bound.number, route)

    def _detour(self, bound: _Bound, detour: Detour | None) -> None:
        if detour is None and not bound.is_detoured:
            return
        bound.is_detoured = detour is not None
        if self._codecs is None:
            self._codecs = CodecThread(self._running)
        self._codecs.set(bound.number, detour)

    def _unrule(self, port: Port) -> None:
        bound = self._ports.get(port)
        if bound is not None:
            self._running.route(bound.number, None)
            self._detour(bound, None)

    def _hop(self, way: Way | None) -> Hop | None:
        bound = None if way is None else self._ports.get(way.port)
        if way is None or bound is None or not self._is_address(way.target):
            return None
        return Hop(bound.number, way.target)

    def _is_address(self, address: Address) -> bool:
        host, number = address
        with suppress(OSError, ValueError):
            socket.inet_pton(family_of(host), host)
            if 0 <= number <= 65_535:
                return True
        self._refused += 1
        return False

    # --- keys ---

    def _secure(self, port: Port, security: rules.Security) -> None:
        bound = self._ports.get(port)
        if bound is None:
            return
        if isinstance(security, Dtls) and security.peer is not None and not self._is_address(security.peer):
            security = security._replace(peer=None)  # not left plain
        before, bound.security = bound.security, security
        if isinstance(security, Dtls):
            if not isinstance(before, Dtls) or before._replace(peer=security.peer) != security:
                self._end_association(bound)
                self._begin_association(port, bound)
            self._shake(bound, security)
        else:
            self._end_association(bound)
            if isinstance(security, Sdes):
                self._take_keys(bound, security.receive.suite, security.receive.key, security.send.key)
        self._apply(bound)

    def _take_keys(self, bound: _Bound, suite: bytes, receive: bytes, send: bytes) -> None:
        """New ways but where the keys are the same: there the roll-over counters go on (RFC 3711 §3.3.1)."""
        if bound.receive is None or not bound.receive.has(suite, receive):
            bound.receive = SrtpWay(suite, receive, inbound=True)
        if bound.send is None or not bound.send.has(suite, send):
            bound.send = SrtpWay(suite, send, inbound=False)

    def _apply(self, bound: _Bound) -> None:
        """Tell the forwarding thread."""
        security = bound.security
        if security is None:
            bound.receive = bound.send = None
            self._running.secure(bound.number, OPEN)
            return
        peer = security.peer if isinstance(security, Dtls) else None
        locked = bound.receive is None or bound.send is None
        self._running.secure(bound.number, Security(locked, bound.receive, bound.send, peer))

    def _begin_association(self, port: Port, bound: _Bound) -> None:
        bound.receive = bound.send = None
        self._last_association += 1
        bound.association = self._last_association
        self._associations[bound.association] = port

    def _shake(self, bound: _Bound, security: Dtls) -> None:
        if self._handshakes is not None and security.part in ("active", "passive"):
            self._handshakes.want(
                bound.association,
                bound.number,
                is_client=security.part == "active",
                fingerprints=security.fingerprints,
                peer=security.peer,
            )

    def _end_association(self, bound: _Bound) -> None:
        if bound.association:
            del self._associations[bound.association]
            if self._handshakes is not None:
                self._handshakes.end(bound.association)
            bound.association = 0

    def _on_handshake(self, association: int, keys: Keys | None, reason: str) -> None:
        """In the thread of hand-shakes."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._handshake_ended, association, keys, reason)

    def _handshake_ended(self, association: int, keys: Keys | None, reason: str) -> None:
        port = self._associations.get(association)
        bound = None if port is None else self._ports.get(port)
        if self._forwarder is None or port is None or bound is None:
            return
        if keys is None:
            bound.receive = bound.send = None
        else:
            self._take_keys(bound, keys.suite, keys.receive, keys.send)
        self._apply(bound)
        self._on_input(DtlsEnded(port, reason))

    # --- events ---

    def _on_packets(self) -> None:
        """Some of what waits; more of it wakes us again, after the loop's other work."""
        if self._forwarder is None:
            return
        for number, source, data, proven in self._forwarder.take(_EVENTS_A_TURN):
            port = self._names.get(number)
            if port is not None:
                self._on_input(MediaPacket(port, source, data, proven))

    def _on_timer(self) -> None:
        if self._loop is None or self._forwarder is None:
            return
        self._timer = self._loop.call_later(self._settings.stats_s / _BUCKETS, self._on_timer)
        self._bucket = (self._bucket + 1) % _BUCKETS
        if self._bucket == 0:
            self._tell_losses()
        for port in list(self._buckets[self._bucket]):
            first, second = self._ports.get(port), self._ports.get(port._replace(number=port.number + 1))
            if first is not None and second is not None and (first.is_ruled or second.is_ruled):
                take = self._forwarder.take_counters
                self._on_input(self._stats_of(port, take(first.number), take(second.number)))

    def _tell_losses(self) -> None:
        stats, before = self.stats(), self._lost_before
        now = MediaLost(stats.shed, stats.overflowed, stats.unsent, stats.faults)
        if now != before:
            self._lost_before = now
            self._on_lost(
                MediaLost(
                    now.shed - before.shed,
                    now.overflowed - before.overflowed,
                    now.unsent - before.unsent,
                    now.faults - before.faults,
                )
            )

    def _stats_of(self, port: Port, rtp: Counters, rtcp: Counters) -> MediaStats:
        """Of a pair: RTCP may come to either port."""
        self._overflowed += rtp.overflowed + rtcp.overflowed
        return MediaStats(
            port=port,
            packets=rtp.packets,
            octets=rtp.octets,
            lost=rtp.lost,
            jitter_ms=rtp.jitter_ms,
            round_trip_ms=rtp.round_trip_ms if rtcp.round_trip_ms is None else rtcp.round_trip_ms,
            silent_s=rtp.silent_s,
            dropped=rtp.dropped + rtcp.dropped,
        )

    def _tell_soon(self, event: MediaInput) -> None:
        if self._loop is not None:
            self._loop.call_soon(self._tell, event)

    def _tell(self, event: MediaInput) -> None:
        if self._loop is not None:
            self._on_input(event)


def _ignore(lost: MediaLost) -> None:
    """Nobody asked."""


def _open(host: str, number: int) -> socket.socket:
    address: Address = (host, number)
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
