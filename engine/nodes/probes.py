"""OPTIONS probes: is a node alive, and does it come back."""

from __future__ import annotations

import random

from engine.boundary import Interface
from engine.here import uri_at
from engine.nodes import state
from engine.nodes.node import Node
from engine.nodes.pool import Pool
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, TransactionLayer
from engine.sip.uri import host_port
from engine.timers import Timed, TimerQueue


class Probe(Timed):
    """The probing of one node: a request each interval, a verdict at the latest after the time-out."""

    __slots__ = ("_interface", "_missed_in_row", "_next_at", "_number", "_prober", "_sent_at", "_waiting", "node")

    def __init__(self, prober: Prober, node: Node, interface: Interface) -> None:
        super().__init__()
        self.node = node
        self._prober = prober
        self._interface = interface
        self._missed_in_row = 0
        self._number = 0
        self._sent_at = 0.0
        self._next_at = 0.0
        self._waiting: ClientTransaction | None = None

    def fire(self, now: float) -> None:
        if self._waiting is not None:
            self._verdict(False, now)
        elif self._prober.wanted(self.node):
            self._send(now)
        else:
            self._sleep(now)

    def soon(self, now: float) -> None:
        """Don't wait for the interval: something just happened to this node."""
        if self._waiting is None and self._prober.wanted(self.node):
            self._prober.timers.arm(self, now)

    def _send(self, now: float) -> None:
        self._number += 1
        self._sent_at = now
        self._next_at = self._prober.next_at(now)
        request = self._prober.options(self.node, self._interface, self._number)
        self._prober.timers.arm(self, now + self._prober.timeout_s)
        self._waiting = self._prober.layer.send(request, self.node.flow, self, now)

    def _verdict(self, alive: bool, now: float) -> None:
        if self._waiting is not None:
            self._waiting.stop_resending()
            self._waiting = None
        pool = self._prober.pool
        if alive:
            self._missed_in_row = 0
            pool.probe_answered(self.node, now, now - self._sent_at)
        else:
            self._missed_in_row += 1
            pool.probe_failed(self.node, now, self._missed_in_row)
        self._sleep(now)

    def _sleep(self, now: float) -> None:
        if self._next_at <= now:
            self._next_at = self._prober.next_at(now)
        self._prober.timers.arm(self, self._next_at)

    # ClientUser

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if transaction is self._waiting and response.status >= 200:
            # 503 is how a full, paused or starting FreeSWITCH answers; 404, 405, 481, ... come from a live one
            self._verdict(response.status < self._prober.dead_from, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        if transaction is self._waiting:
            self._verdict(False, now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        if transaction is self._waiting:
            self._prober.pool.unreachable(self.node, now, reason)
            self._verdict(False, now)


class Prober:
    """Probes all nodes of a pool, each at its own jittered time."""

    def __init__(
        self,
        pool: Pool,
        layer: TransactionLayer,
        timers: TimerQueue,
        rng: random.Random,
        name: str,
        dead_from: int = 500,
    ) -> None:
        self.dead_from = dead_from  # the lowest status that is no sign of life
        self.pool = pool
        self.layer = layer
        self.timers = timers
        self._rng = rng
        self._name = name.encode("ascii", "replace").replace(b" ", b"-")

    @property
    def timeout_s(self) -> float:
        return self.pool.probe.timeout_s

    def watch(self, node: Node, interface: Interface, now: float) -> None:
        """Begin to probe a node, the first time somewhere within the first interval."""
        probe = Probe(self, node, interface)
        node.probe = probe
        self.timers.arm(probe, now + self._rng.random() * self.pool.probe.interval_s)

    def forget(self, node: Node) -> None:
        if node.probe is not None:
            self.timers.arm(node.probe, float("inf"))
            node.probe = None

    def soon(self, node: Node, now: float) -> None:
        """Probe this node at once: it is suspected, or was just enabled."""
        if isinstance(node.probe, Probe):
            node.probe.soon(now)

    def wanted(self, node: Node) -> bool:
        mode = node.config.probe_mode or self.pool.probe.mode
        if mode == "never" or node.state == state.DISABLED:
            return False
        return mode == "always" or node.state in (state.DOWN, state.RETURNING)

    def next_at(self, now: float) -> float:
        probe = self.pool.probe
        return now + probe.interval_s * (1.0 + probe.jitter * (self._rng.random() - 0.5))

    def options(self, node: Node, interface: Interface, number: int) -> Request:
        here = host_port(interface.public_host, interface.public_port)
        there = host_port(*node.flow.peer)
        token = self._rng.getrandbits(64)
        return Request.build(
            b"OPTIONS",
            uri_at(there, interface.transport),  # one without its transport means UDP, and so somebody else
            b"Via: SIP/2.0/%s %s;branch=z9hG4bKp%016x;rport" % (interface.transport.upper().encode(), here, token),
            b"Max-Forwards: 70",
            b"From: <sip:probe@%s>;tag=%08x" % (here, token & 0xFFFFFFFF),
            b"To: <sip:%s>" % there,
            b"Call-ID: probe-%s-%016x" % (self._name, token),
            b"CSeq: %d OPTIONS" % number,
            b"Contact: <" + uri_at(b"probe@" + here, interface.transport) + b">",
            b"User-Agent: siptwin",
        )
