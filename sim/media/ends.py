"""The two kinds of ends that packets meet: an agent's, and a port of a relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import Address
from engine.media.rules import Dtls, MediaStats, Port, Rule, Security
from engine.media.sdp.attributes import Fingerprint
from sim.media.hearing import Heard, Hearing
from sim.media.trains import PACKET_BYTES, PACKET_S, Flight, Stream, Train

if TYPE_CHECKING:
    from sim.agents.media import Talking
    from sim.host import SimHost

FIRST_REPORT_S = 2.5
"""Until a side's first report, which measures a round trip by what it has had of ours (RFC 3550 §6.2)."""

_SYMMETRIC_AFTER = 10  # packets from elsewhere until FreeSWITCH sends there too


class AgentEnd:
    """An agent in one call."""

    __slots__ = (
        "_began_s",
        "_elsewhere",
        "asks",
        "hearings",
        "host",
        "keyed_with",
        "pair",
        "stream",
        "talking",
    )

    def __init__(self, host: SimHost, talking: Talking, now: float) -> None:
        self.host = host
        self.talking = talking
        self.stream: Stream | None = None
        self.pair: Address | None = None  # where it sends: found by ICE, or where packets came from
        self.keyed_with: Fingerprint | None = None  # the certificate of who it has shaken hands with
        self.asks = 0  # numbers its rounds of checks and hand-shakes, so that old ones end
        self.hearings: dict[str, Hearing] = {}
        self._began_s = now
        self._elsewhere = 0

    @property
    def place(self) -> str:
        return self.host.place

    @property
    def certificate(self) -> Fingerprint | None:
        own = self.talking.own
        return own.fingerprints[0] if own.profile.security == "dtls" and own.fingerprints else None

    @property
    def uses_ice(self) -> bool:
        return self.talking.own.ice is not None and self.talking.remote.ice is not None

    @property
    def target(self) -> Address | None:
        """Where its packets go; None while it doesn't know."""
        return self.pair if self.uses_ice else self.pair or self.talking.target

    @property
    def speaks(self) -> bool:
        """Whether it could send something now."""
        secure = self.certificate is not None
        return self.talking.sends and self.target is not None and (not secure or self.keyed_with is not None)

    def understands(self, train: Train) -> bool:
        """Whether it can decrypt this, or need not."""
        return train.certificate == (self.keyed_with if self.certificate is not None else None)

    def noticed(self, source: Address, packets: int) -> None:
        """Packets came from there: a symmetric agent follows them, unless they are where it sends."""
        if self.talking.symmetric and not self.uses_ice and source != self.target:
            self._elsewhere += packets
            if self._elsewhere >= _SYMMETRIC_AFTER:
                self.pair, self._elsewhere = source, 0

    def hear(self, train: Train) -> None:
        self.hearings.setdefault(train.speaker, Hearing()).hear(train)

    def told(self) -> list[Heard]:
        """What it heard."""
        talking, began_s = self.talking, self._began_s
        if not self.hearings:
            return [Heard(talking.call_id, talking.agent, "", began_s)]
        return [
            hearing.told(talking.call_id, talking.agent, speaker, began_s, talking.codec)
            for speaker, hearing in self.hearings.items()
        ]


class RelayPort:
    """A port that an edge has bound: what the real data plane keeps of one."""

    __slots__ = (
        "_dropped",
        "_highest",
        "_jitter_ms",
        "_last_at",
        "_lost",
        "_octets",
        "_packets",
        "_round_trip_ms",
        "_speaker",
        "_speaks_since",
        "address",
        "asks",
        "held",
        "host",
        "is_reported",
        "keyed_with",
        "name",
        "rule",
        "security",
    )

    def __init__(self, host: SimHost, name: Port, address: Address, now: float) -> None:
        self.host = host
        self.name = name
        self.address = address
        self.rule: Rule | None = None
        self.security: Security = None
        self.keyed_with: Fingerprint | None = None
        self.asks = 0
        self.held: tuple[Flight, Address, float] | None = None  # a hand-shake's beginning, and when it came
        self._last_at = now
        self._packets = self._octets = self._lost = self._dropped = 0
        self._jitter_ms = 0.0
        self._round_trip_ms: float | None = None
        self._speaker: Stream | None = None
        self._highest = -1
        self._speaks_since = now
        self.is_reported = False  # whether the peer's reports (RTCP) come, and ours of its reports go back

    @property
    def place(self) -> str:
        return self.host.place

    def understands(self, train: Train) -> bool:
        """Whether this can be decrypted here, or need not be."""
        if isinstance(self.security, Dtls):
            return self.keyed_with is not None and train.certificate == self.keyed_with
        return train.certificate is None

    def count(self, train: Train) -> None:
        """Packets of the believed source came."""
        if train.stream is not self._speaker:
            self._speaker, self._highest = train.stream, train.number - 1
            self._speaks_since = train.arrival_s
        highest = train.number + train.count - 1
        self._lost += max(highest - self._highest, 0) - train.left
        self._highest = max(self._highest, highest)
        self._packets += train.left
        self._octets += train.left * PACKET_BYTES
        self._last_at = max(self._last_at, train.arrival_s + (train.count - 1) * PACKET_S)
        self._jitter_ms = train.jitter_ms
        self._round_trip_ms = 2000.0 * train.part_s

    def drop(self, packets: int) -> None:
        """Packets of others came, or such as can't be understood."""
        self._dropped += packets

    def report(self, now: float) -> MediaStats:
        """What came since the last of these."""
        reported = self.is_reported and now - self._speaks_since >= FIRST_REPORT_S
        stats = MediaStats(
            self.name,
            self._packets,
            self._octets,
            self._lost,
            self._jitter_ms,
            self._round_trip_ms if self._packets and reported else None,
            max(now - self._last_at, 0.0),
            self._dropped,
        )
        self._packets = self._octets = self._lost = self._dropped = 0
        return stats
