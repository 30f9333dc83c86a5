"""The thread that conducts DTLS hand-shakes, so that their cryptography delays neither signalling nor packets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Thread
from time import monotonic
from typing import Final, NamedTuple, TypeAlias

from engine.boundary import NEVER, Address
from engine.live.relay.certificate import Certificate
from engine.live.relay.dtls import Association, Keys, new_context
from engine.live.relay.forwarder import Forwarder, Kind, Queue
from engine.media.sdp.attributes import Fingerprint

Ended: TypeAlias = Callable[[int, Keys | None, str], None]
"""Told in the thread: the association, its keys, or why there are none (any more)."""

_LONGEST_WAIT_S: Final = 60.0
# After so long its last flight will not be asked for again: a client has tried thrice by then (RFC 6347 §4.2.4.1).
_KEPT_S: Final = 10.0


class _Order(NamedTuple):
    """What is to be done about one association; ``wanted`` None: end it."""

    association: int
    wanted: _Wanted | None


class _Wanted(NamedTuple):
    number: int  # of the port
    is_client: bool
    fingerprints: tuple[Fingerprint, ...]
    peer: Address | None


class _Shaking:
    """One association at work."""

    __slots__ = ("dtls", "expires_at", "given_up_at", "stands", "wanted")

    def __init__(self, wanted: _Wanted) -> None:
        self.wanted = wanted
        self.dtls: Association | None = None  # from its first packet on
        self.expires_at = NEVER
        self.given_up_at = NEVER
        self.stands = False  # its keys were told


class Handshakes:
    """All associations of a plane, by numbers that are never used again."""

    def __init__(self, forwarder: Forwarder, certificate: Certificate, handshake_s: float, ended: Ended) -> None:
        self._forwarder = forwarder
        self._context = new_context(certificate)
        self._handshake_s = handshake_s
        self._ended = ended
        self._orders: deque[_Order] = deque()
        self._shaking: dict[int, _Shaking] = {}
        self._by_port: dict[int, int] = {}
        self._stopped = False
        self.faults = 0  # packets and orders that OpenSSL, or what it said to whom, stumbled over
        self._thread = Thread(target=self._run, name="siptwin-dtls", daemon=True)
        self._thread.start()

    def want(
        self,
        association: int,
        number: int,
        *,
        is_client: bool,
        fingerprints: tuple[Fingerprint, ...],
        peer: Address | None,
    ) -> None:
        """Begin one at a port, or give it another peer."""
        self._order(_Order(association, _Wanted(number, is_client, fingerprints, peer)))

    def end(self, association: int) -> None:
        """Forget one: without a farewell, for its port is closed or has another use."""
        self._order(_Order(association, None))

    def stop(self) -> None:
        self._stopped = True
        self._forwarder.wake(Queue.HANDSHAKES)
        self._thread.join()

    def _order(self, order: _Order) -> None:
        self._orders.append(order)
        self._forwarder.wake(Queue.HANDSHAKES)

    # --- the thread ---

    def _run(self) -> None:
        while not self._stopped:
            packets = self._forwarder.wait(Queue.HANDSHAKES, self._patience_s())
            while self._orders:
                order = self._orders.popleft()
                try:
                    self._obey(order)
                except Exception:  # as below
                    self._fail(order.association)
            for number, source, data, _ in packets:
                try:
                    self._receive(number, source, data)
                except Exception:  # whatever OpenSSL makes of a packet: the other hand-shakes go on
                    self.faults += 1
            self._look(monotonic())

    def _patience_s(self) -> float:
        if self._orders:
            return 0.0
        soonest = min((min(one.expires_at, one.given_up_at) for one in self._shaking.values()), default=NEVER)
        return min(max(soonest - monotonic(), 0.0), _LONGEST_WAIT_S)

    def _obey(self, order: _Order) -> None:
        association, wanted = order
        if wanted is None:
            gone = self._shaking.pop(association, None)
            if gone is not None and self._by_port.get(gone.wanted.number) == association:
                del self._by_port[gone.wanted.number]
            return
        one = self._shaking.get(association)
        if one is None:
            one = self._shaking[association] = _Shaking(wanted)
            self._by_port[wanted.number] = association
        one.wanted = wanted
        if one.dtls is None and wanted.is_client and wanted.peer is not None:
            self._say(association, one, self._begin(one).start())

    def _begin(self, one: _Shaking) -> Association:
        one.dtls = Association(self._context, is_client=one.wanted.is_client, fingerprints=one.wanted.fingerprints)
        one.given_up_at = monotonic() + self._handshake_s
        return one.dtls

    def _receive(self, number: int, source: Address, data: bytes) -> None:
        association = self._by_port.get(number)
        one = None if association is None else self._shaking.get(association)
        # The forwarder has let it pass for its source, but the peer may have changed since.
        if one is None or association is None or source != one.wanted.peer:
            return
        self._say(association, one, (one.dtls or self._begin(one)).receive(data))

    def _look(self, now: float) -> None:
        for association, one in list(self._shaking.items()):
            try:
                self._look_at(association, one, now)
            except Exception:  # as above; to go on would fail again at once, for its time has come
                self._fail(association)

    def _look_at(self, association: int, one: _Shaking, now: float) -> None:
        if one.dtls is None:
            return
        if one.given_up_at <= now:
            if one.dtls.keys is None and not one.dtls.failure:
                self._ended(association, None, "timeout")
            self._obey(_Order(association, None))
        elif one.expires_at <= now:
            self._say(association, one, one.dtls.expire())

    def _fail(self, association: int) -> None:
        """It failed in a way that it never should: it ends, and the others go on."""
        self.faults += 1
        self._obey(_Order(association, None))
        self._ended(association, None, "fault")

    def _say(self, association: int, one: _Shaking, datagrams: list[bytes]) -> None:
        """Send what the association has to say, and tell what has become of it."""
        assert one.dtls is not None
        if one.wanted.peer is not None:
            for datagram in datagrams:
                self._forwarder.send(one.wanted.number, one.wanted.peer, datagram, Kind.PLAIN)
        now = monotonic()
        timeout_s = one.dtls.timeout_s()
        one.expires_at = NEVER if timeout_s is None else now + max(timeout_s, 0.001)
        if one.dtls.failure:
            self._ended(association, None, one.dtls.failure)
            self._obey(_Order(association, None))
        elif one.dtls.keys is not None and not one.stands:
            one.stands = True
            one.given_up_at = now + _KEPT_S
            self._ended(association, one.dtls.keys, "")
