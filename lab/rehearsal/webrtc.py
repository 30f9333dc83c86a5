"""A WebRTC end of one call: a full ICE agent, DTLS and SRTP between an agent's packets and its socket.

No socket here and no clock: datagrams and the time in, datagrams out. DTLS and SRTP are those of the live relay.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar, Final, NamedTuple

from OpenSSL import SSL

from engine.boundary import NEVER, Address, Level, Note
from engine.live.relay.dtls import Association
from engine.live.relay.srtp import SrtpWay
from engine.media.ice import CONSENT_S
from engine.media.packets import packet_kind
from engine.stun import (
    ERROR,
    PRIORITY,
    REQUEST,
    SUCCESS,
    UNDERSTOOD,
    USE_CANDIDATE,
    StunError,
    StunMessage,
    is_stun,
    read_stun,
    stun_success,
)
from sim.agents.media import Talking
from sim.media.checks import check

_PACE_S: Final = 0.05  # between two checks (Ta of RFC 8445 §14.2)
_ROUND_S: Final = 0.5  # between two of the same pair (the RTO of §14.3)
_CONSENT_CHECK_S: Final = 5.0  # RFC 7675 §5.1, without its random share
_MOST_CHECKS: Final = 64  # that wait for their answers
_NUMBER_BITS: Final = 64
_ERROR_CODE: Final = 0x0009  # RFC 8489 §14.8
_ICE = UNDERSTOOD | {PRIORITY, USE_CANDIDATE}

Packet = tuple[bytes, Address]


@dataclass(frozen=True, slots=True)
class Secured(Note):
    """How far an agent came with its peer before it could hear or be heard; told at the end of the call.

    ``ice`` and ``dtls`` are ``done``, or why not: ``no candidates``, ``no answer``, an error such as ``401``; what
    OpenSSL or the certificate said. ``dtls`` is empty where it never began. ``unread`` packets came that the keys
    don't open.
    """

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    agent: str
    ice: str
    dtls: str
    peers: tuple[str, ...]  # host and port of each candidate
    unread: int = 0

    @property
    def done(self) -> bool:
        """Whether both could speak."""
        return self.ice == self.dtls == "done"


class Opened(NamedTuple):
    """What a datagram came to: what must be answered, and the RTP that was in it."""

    replies: list[Packet]
    rtp: bytes | None = None


_NOTHING: Final = Opened([])


class WebRtc:
    """One end. It always nominates, as one does whose peer is an ICE-lite relay."""

    def __init__(self, context: SSL.Context, talking: Talking, random: Random, now: float) -> None:
        self._context = context
        self._random = random
        self._talking = talking
        self._pair: Address | None = None
        self._began_s = now
        self._check_at = now
        self._next = 0  # of the candidates
        self._asked: dict[bytes, Address] = {}  # by transaction
        self._refused = 0
        self._association: Association | None = None
        self._expire_at = NEVER
        self._incoming: SrtpWay | None = None
        self._outgoing: SrtpWay | None = None
        self._failure = ""  # of DTLS
        self._unread = 0

    @property
    def deadline(self) -> float:
        """When it next wants a ``tick``."""
        return min(self._check_at, self._expire_at)

    def change(self, talking: Talking, now: float) -> None:
        """A new agreement: other names are an ICE restart, another certificate another association."""
        before, self._talking = self._talking.remote, talking
        if talking.remote.ice != before.ice:
            self._pair, self._began_s, self._check_at = None, now, now
            self._asked.clear()
        if talking.remote.fingerprints != before.fingerprints:
            self._association = self._incoming = self._outgoing = None
            self._failure = ""
            self._expire_at = now if self._pair is not None and talking.shakes_first else NEVER

    def tick(self, now: float) -> list[Packet]:
        """Time has passed; what is to be sent."""
        packets: list[Packet] = []
        if self._check_at <= now:
            packets += self._checks(now)
        if self._expire_at <= now:
            association = self._association
            packets += self._said(association.expire() if association else self._associate().start(), now)
        return packets

    def receive(self, data: bytes, source: Address, now: float) -> Opened:
        """A datagram came (RFC 7983 tells them apart)."""
        match packet_kind(data):
            case "stun":
                return Opened(self._stun(data, source, now)) if is_stun(data) else _NOTHING
            case "dtls" if source == self._pair:
                association = self._association or self._associate()
                return Opened(self._said(association.receive(data), now))
            case "rtp" if source == self._pair:
                packet = None if self._incoming is None else self._incoming.unprotect(data)
                self._unread += packet is None
                return Opened([], packet)
        return _NOTHING

    def protect(self, rtp: bytes) -> Packet | None:
        """A packet of ours as it is sent; None while nobody could read it."""
        if self._pair is None or self._outgoing is None:
            return None
        data = self._outgoing.protect(rtp)
        return None if data is None else (data, self._pair)

    def told(self) -> Secured:
        """How far it came."""
        peers = [f"{host}:{port}" for host, port in self._candidates()]
        ice = "done"
        if self._pair is None:
            ice = str(self._refused or ("no answer" if peers else "no candidates"))
        dtls = "done" if self._incoming else self._failure or ("no answer" if self._pair else "")
        talking = self._talking
        return Secured(talking.call_id, talking.agent, ice, dtls, tuple(peers), self._unread)

    # --- ICE

    def _candidates(self) -> list[Address]:
        remote = self._talking.remote
        ordered = sorted(remote.candidates, key=lambda each: -each.priority)
        found = [(each.host, each.port) for each in ordered if each.component == 1]
        return list(dict.fromkeys(found))

    def _checks(self, now: float) -> list[Packet]:
        """Ask one candidate after the other until one is proven; then that for its consent (RFC 7675)."""
        local, remote = self._talking.own.ice, self._talking.remote.ice
        candidates = [self._pair] if self._pair is not None else self._candidates()
        if local is None or remote is None or not candidates:
            self._check_at = NEVER
            return []
        if self._pair is None and now - self._began_s > CONSENT_S:
            self._check_at = NEVER
            return []
        target = candidates[self._next % len(candidates)]
        self._next += 1
        wait_s = _CONSENT_CHECK_S if self._pair is not None else _PACE_S
        if self._pair is None and self._next % len(candidates) == 0:
            wait_s = max(_PACE_S, _ROUND_S - _PACE_S * (len(candidates) - 1))
        self._check_at = now + wait_s
        number = self._random.getrandbits(_NUMBER_BITS)
        if len(self._asked) >= _MOST_CHECKS:
            del self._asked[next(iter(self._asked))]
        self._asked[number.to_bytes(12)] = target
        return [(check(local, remote, number), target)]

    def _stun(self, data: bytes, source: Address, now: float) -> list[Packet]:
        local, remote = self._talking.own.ice, self._talking.remote.ice
        try:
            message = read_stun(data, _ICE)
        except StunError:
            return []
        if local is None or remote is None:
            return []
        if message.kind == REQUEST:
            proven = message.proves(local.password)
            return [(stun_success(message, source, local.password), source)] if proven else []
        return self._answered(message, source, remote.password, now)

    def _answered(self, message: StunMessage, source: Address, password: bytes, now: float) -> list[Packet]:
        """RFC 8445 §7.2.5.2.1: only from where it was asked."""
        if self._asked.pop(message.transaction, None) != source:
            return []
        if message.kind == ERROR:
            self._refused = _code(message)
            return []
        if message.kind != SUCCESS or not message.proves(password) or self._pair is not None:
            return []
        self._pair = source
        self._check_at = now + _CONSENT_CHECK_S
        if self._association is None and self._talking.shakes_first:
            return self._said(self._associate().start(), now)
        return []

    # --- DTLS

    def _associate(self) -> Association:
        talking = self._talking
        self._association = Association(
            self._context,
            is_client=talking.shakes_first,
            fingerprints=talking.remote.fingerprints,
        )
        return self._association

    def _said(self, datagrams: list[bytes], now: float) -> list[Packet]:
        """What the association has to say; and what has become of it."""
        association, pair = self._association, self._pair
        assert association is not None
        timeout_s = association.timeout_s()
        self._expire_at = NEVER if timeout_s is None else now + max(timeout_s, 0.001)
        if association.keys is not None and self._incoming is None:
            keys = association.keys
            self._incoming = SrtpWay(keys.suite, keys.receive, inbound=True)
            self._outgoing = SrtpWay(keys.suite, keys.send, inbound=False)
        self._failure = association.failure
        return [(data, pair) for data in datagrams] if pair is not None else []


def _code(error: StunMessage) -> int:
    value = error.attributes.get(_ERROR_CODE, b"")
    return (value[2] & 7) * 100 + value[3] if len(value) >= 4 else 0
