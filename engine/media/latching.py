"""Whose packets are believed on a port: latching, as a table.

A description says where a peer's media go, but a NAT, or a socket bound to no address, lets them come from
elsewhere. So the source is learnt from the first valid packets, once, and then locked: a stranger who finds the
port can neither speak nor have the media sent to himself. Packets from where the peer was expected - the host that
it told, signals or sent from before - lock at once. Those from elsewhere must last for a window, within which the
expected ones go before them. What unlocks is signalling alone; and a peer that was heard once, and does not say
that it has moved, is not looked for among strangers again.

*Valid* is the host's word: RTP of a negotiated payload type, and on SRTP proven by the stream's key. Where ICE is
spoken nothing is latched: checks decide (``engine.media.ice``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from engine.boundary import NEVER, Address
from engine.media.targets import Targets

WINDOW_S: Final = 0.5
"""How long a source that nobody told of must keep sending, while one that was told of may still come."""

_FEWEST_PACKETS = 5  # within the window: one packet that happens by is no stream

# States
OPEN: Final = "open"  # nothing came yet
LEARNING: Final = "learning"  # packets come from where no one was expected
LOCKED: Final = "locked"

# Events
EXPECTED: Final = "expected"  # a valid packet from where the peer was expected
UNEXPECTED: Final = "unexpected"  # the first valid packet from elsewhere
LASTED: Final = "lasted"  # the window is over, and that source has kept sending
FADED: Final = "faded"  # the window is over, and it has not
RENEGOTIATED: Final = "renegotiated"  # an offer or answer of the peer

LATCH_STATES: Final[Mapping[str, Mapping[str, str]]] = {
    OPEN: {EXPECTED: LOCKED, UNEXPECTED: LEARNING, RENEGOTIATED: OPEN},
    LEARNING: {EXPECTED: LOCKED, LASTED: LOCKED, FADED: OPEN, RENEGOTIATED: OPEN},
    LOCKED: {RENEGOTIATED: OPEN},
}

Trust: TypeAlias = Literal["any", "known", "told"]
"""Whose packets may lock: anyone's; those of hosts that signalling named or came from; the told address alone."""


class Latch:
    """The source of one port. ``source`` is who is believed, None until locked."""

    __slots__ = (
        "_before",
        "_candidate",
        "_hosts",
        "_last_told",
        "_packets",
        "_settled",
        "_targets",
        "_trust",
        "_until",
        "source",
        "state",
        "told",
    )

    def __init__(self, targets: Targets, trust: Trust = "any") -> None:
        self.state: str = OPEN
        self.source: Address | None = None
        self.told: Address | None = None  # by the description; None where it can't or may not be sent to
        self._targets = targets
        self._trust = trust
        self._last_told: Address | None = None
        self._before: Address | None = None  # the source before the last negotiation
        self._settled = False  # it was locked, and the peer has not moved since
        self._hosts: frozenset[str] = frozenset()
        self._candidate: Address | None = None
        self._packets = 0
        self._until = NEVER

    @property
    def target(self) -> Address | None:
        """Where media for the peer go: the believed source, until then the one before, until then as told."""
        return self.source or self._before or self.told

    def negotiated(self, told: Address | None, signalling_host: str | None) -> str | None:
        """The peer's description came, signalled from a host, where that is known. Opens the latch anew.

        A peer that tells the same address again - to refresh the session, to hold - is expected to go on from
        where it sent before; one that tells another has moved.

        Returns
        -------
        str or None
            Why the told address is refused as a target; packets may still come from elsewhere.
        """
        refusal = None if told is None else self._targets.refusal(told)
        if refusal is not None:
            told = None
        moved = told is not None and self._last_told is not None and told != self._last_told
        before = self.source or self._before
        self._settled = (self._settled or self.source is not None) and not moved
        self._before = None if moved else before
        self.told = told
        self._last_told = told or self._last_told
        known = (signalling_host, told[0] if told else None, self._before[0] if self._before else None)
        self._hosts = frozenset(host for host in known if host is not None)
        self.source = None
        self._enter(RENEGOTIATED)
        return refusal

    def know(self, host: str) -> None:
        """Expect packets from this host as well: RTCP comes from where RTP was found to come from."""
        self._hosts |= {host}

    def packet(self, source: Address, now: float) -> bool:
        """A valid packet came; whether it is to be believed. Locks, where it is time to."""
        if self.state == LOCKED:
            return source == self.source
        if not self._may_lock(source):
            return False
        if self._is_expected(source):
            self._enter(EXPECTED)
            self.source = source
            return True
        if self.tick(now):
            return source == self.source
        if self.state == OPEN:
            self._enter(UNEXPECTED)
            self._candidate = source
            self._packets = 1
            self._until = now + WINDOW_S
        elif source == self._candidate:
            self._packets += 1
        return False

    def tick(self, now: float) -> bool:
        """The deadline may have come; whether the latch has locked by it."""
        if self.state != LEARNING or now < self._until:
            return False
        candidate = self._candidate
        lasted = self._packets >= _FEWEST_PACKETS
        self._enter(LASTED if lasted else FADED)
        self.source = candidate if lasted else None
        return lasted

    def deadline(self) -> float:
        """When the window ends, or NEVER."""
        return self._until

    def _is_expected(self, source: Address) -> bool:
        """At any port of a known host: a NAT, or a socket of its own for sending, changes it."""
        return source == self.told or source == self._before or source[0] in self._hosts

    def _may_lock(self, source: Address) -> bool:
        if self._trust == "told":
            wanted = source == self.told or source == self._before
        else:
            wanted = (self._trust == "any" and not self._settled) or self._is_expected(source)
        return wanted and self._targets.refusal(source) is None

    def _enter(self, event: str) -> None:
        self.state = LATCH_STATES[self.state][event]
        self._candidate = None
        self._packets = 0
        self._until = NEVER
