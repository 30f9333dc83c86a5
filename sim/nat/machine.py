"""A NAT as a state machine: each packet gives a verdict. No clock, no network; time is ``now``, in seconds.

A *session* is one inside endpoint talking to one peer. Sessions share a *mapping*, the outside endpoint, as far
as the mapping behaviour says; which peers may send to it is the filtering behaviour's business. A *lease* is what
runs out: each session has its own where the timer is the session's, else all of a mapping share one; TCP
connections always have their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, Literal, NamedTuple, TypeAlias

from engine.boundary import NEVER, Address
from engine.timers import Timed, TimerQueue
from sim.nat.ports import Outsides
from sim.nat.settings import Dependence, NatSettings

Protocol: TypeAlias = Literal["udp", "tcp"]

Segment: TypeAlias = Literal["syn", "syn_ack", "data", "fin", "rst"]
"""What a TCP packet is; UDP's are all ``data``."""

Reason: TypeAlias = Literal[
    "no mapping", "filtered", "ports exhausted", "table full", "no hairpinning", "unknown connection"
]

_TcpState: TypeAlias = Literal["opening", "answered", "established", "closing"]

_TCP_STATES: Final[dict[tuple[_TcpState, Segment], _TcpState]] = {
    ("opening", "syn_ack"): "answered",
    ("answered", "data"): "established",
    ("closing", "syn"): "opening",
    ("opening", "fin"): "closing",
    ("answered", "fin"): "closing",
    ("established", "fin"): "closing",
    ("opening", "rst"): "closing",
    ("answered", "rst"): "closing",
    ("established", "rst"): "closing",
}
"""What is not named changes nothing."""


class Passed(NamedTuple):
    """The packet goes on with these addresses. ``inward``: to an inside host, also when it came from one."""

    source: Address
    destination: Address
    inward: bool


class Dropped(NamedTuple):
    """The packet goes nowhere. ``refused``: its sender is told, by ICMP port unreachable or by RST."""

    reason: Reason
    refused: bool = False


Verdict: TypeAlias = Passed | Dropped

_Key: TypeAlias = tuple[Protocol, Address, Address | str | None]
"""Inside endpoint, and what of the peer its mapping depends on."""


class Mapped(NamedTuple):
    """A mapping as tests and reports see it."""

    protocol: Protocol
    inside: Address
    outside: Address


def _dependent(peer: Address, dependence: Dependence) -> Address | str | None:
    """What of a peer counts."""
    if dependence == "endpoint_independent":
        return None
    return peer[0] if dependence == "address_dependent" else peer


class _Lease(Timed):
    """What runs out, and what ends with it."""

    __slots__ = ("_nat", "begun_s", "replied", "sessions")

    def __init__(self, nat: Nat, begun_s: float) -> None:
        super().__init__()
        self._nat = nat
        self.begun_s = begun_s
        self.replied = False
        self.sessions: list[_Session] = []

    def fire(self, now: float) -> None:
        for session in self.sessions:
            self._nat.forget(session)


class _Stray(Timed):
    """A refused packet, which Linux tracks like any other: meanwhile nobody inside can have its addresses."""

    __slots__ = ("_key", "_strays")

    def __init__(self, strays: _Strays, key: tuple[Address, Address]) -> None:
        super().__init__()
        self._strays = strays
        self._key = key

    def fire(self, now: float) -> None:
        del self._strays[self._key]


_Strays: TypeAlias = dict[tuple[Address, Address], _Stray]
"""By outside endpoint and peer; UDP only, for no TCP connection is made from the same port so soon again."""


class _Mapping:
    __slots__ = ("inside", "key", "lease", "outside", "peers", "protocol", "sessions")

    def __init__(self, protocol: Protocol, inside: Address, outside: Address, key: _Key) -> None:
        self.protocol = protocol
        self.inside = inside
        self.outside = outside
        self.key = key
        self.sessions = 0
        self.peers: dict[str, int] = {}  # sessions by the peer's IP address
        self.lease: _Lease | None = None  # the shared one


class _Session:
    __slots__ = ("lease", "mapping", "peer", "tcp")

    def __init__(self, mapping: _Mapping, peer: Address, lease: _Lease) -> None:
        self.mapping = mapping
        self.peer = peer
        self.lease = lease
        self.tcp: _TcpState = "opening"


class Nat:
    """One NAT with its outside addresses. Everything that is random in it comes from ``rng``."""

    def __init__(self, settings: NatSettings, addresses: Sequence[str], rng: Random) -> None:
        self.settings = settings
        self.addresses = tuple(addresses)
        if not self.addresses:
            raise ValueError("a NAT needs an outside address - give it one")
        self._outsides = Outsides(settings, self.addresses, rng)
        self.reboot()

    def reboot(self) -> None:
        """Forget everything."""
        self._timers = TimerQueue()
        self._outsides.clear()
        # The mappings of a key, the one used last at the end: only an overloaded port needs more than one.
        self._mappings: dict[_Key, list[_Mapping]] = {}
        self._by_outside: dict[tuple[Protocol, Address], _Mapping] = {}
        self._by_inside_peer: dict[tuple[Protocol, Address, Address], _Session] = {}
        self._by_outside_peer: dict[tuple[Protocol, Address, Address], _Session] = {}
        self._strays: _Strays = {}

    # --- packets ------------------------------------------------------------------------------------------

    def outbound(
        self, protocol: Protocol, source: Address, destination: Address, now: float, segment: Segment = "data"
    ) -> Verdict:
        """A packet from an inside host to any address but inside ones."""
        self._timers.fire_due(now)
        hairpin = destination[0] in self.addresses
        if hairpin and not self.settings.hairpinning:
            return self._unsolicited("no hairpinning")
        session = self._by_inside_peer.get((protocol, source, destination)) or self._open(
            protocol, source, destination, now, segment
        )
        if isinstance(session, Dropped):
            return session
        self._note(session, segment, now, outward=True)
        outside = session.mapping.outside
        if not hairpin:
            return Passed(outside, destination, inward=False)
        # REQ-9a: the far end sees the outside address, as though the packet had gone out and come back.
        return self.inbound(protocol, outside, destination, now, segment)

    def inbound(
        self, protocol: Protocol, source: Address, destination: Address, now: float, segment: Segment = "data"
    ) -> Verdict:
        """A packet from outside to one of the outside addresses."""
        self._timers.fire_due(now)
        session = self._by_outside_peer.get((protocol, destination, source))
        if session is not None:
            self._note(session, segment, now, outward=False)
            return Passed(source, session.mapping.inside, inward=True)
        mapping = self._by_outside.get((protocol, destination))
        if mapping is None or not self._admits(mapping, source):
            if protocol == "udp":
                self._track(destination, source, now)
            return self._unsolicited("filtered" if mapping else "no mapping")
        if protocol == "tcp" and segment != "syn":
            return self._unsolicited("unknown connection")
        if mapping.lease is not None:  # what comes unasked can keep a mapping, never make it
            self._refresh(mapping.lease, now, outward=False)
        elif protocol == "tcp" or self.settings.refresh_inbound:
            if len(self._by_inside_peer) >= self.settings.max_sessions:
                return Dropped("table full")
            self._note(self._begin(mapping, source, now), segment, now, outward=False)
        return Passed(source, mapping.inside, inward=True)

    def error_inbound(self, protocol: Protocol, destination: Address, peer: Address, now: float) -> Address | None:
        """Whose packet an ICMP error from outside is about: one sent from ``destination`` to ``peer``.

        Errors refresh nothing and end nothing (RFC 5508 REQ-4, REQ-5).
        """
        self._timers.fire_due(now)
        session = self._by_outside_peer.get((protocol, destination, peer))
        return session.mapping.inside if session else None

    def owner(self, protocol: Protocol, source: Address, destination: Address, now: float) -> Address | None:
        """Whose an outside endpoint, ``destination``, is for packets from ``source``; refreshes nothing."""
        self._timers.fire_due(now)
        session = self._by_outside_peer.get((protocol, destination, source))
        mapping = session.mapping if session else self._by_outside.get((protocol, destination))
        return mapping.inside if mapping else None

    # --- what is asked of outside -------------------------------------------------------------------------

    def mappings(self, now: float) -> list[Mapped]:
        """All mappings alive, in the order in which they were made."""
        self._timers.fire_due(now)
        sessions = self._by_inside_peer.values()
        alive = {id(session.mapping): session.mapping for session in sessions}.values()
        return [Mapped(mapping.protocol, mapping.inside, mapping.outside) for mapping in alive]

    def sessions(self, now: float) -> int:
        """How many sessions are alive."""
        self._timers.fire_due(now)
        return len(self._by_inside_peer)

    # --- mappings -----------------------------------------------------------------------------------------

    def _open(
        self, protocol: Protocol, source: Address, destination: Address, now: float, segment: Segment
    ) -> _Session | Dropped:
        adopted = protocol == "tcp" and segment != "syn"
        if adopted and (self.settings.tcp_unknown != "adopt" or segment == "rst"):
            refused = self.settings.tcp_unknown == "reset" and segment != "rst"
            return Dropped("unknown connection", refused)
        if len(self._by_inside_peer) >= self.settings.max_sessions:
            return Dropped("table full")
        key = (protocol, source, _dependent(destination, self.settings.mapping))
        mapping = self._usable(key, destination)
        if mapping is None:
            outside = self._outside(protocol, source, destination, key)
            if outside is None:
                return Dropped("ports exhausted")
            mapping = _Mapping(protocol, source, outside, key)
        session = self._begin(mapping, destination, now)
        if adopted:
            session.tcp = "established"
        return session

    def _usable(self, key: _Key, peer: Address) -> _Mapping | None:
        """The mapping that this key has; of an overloaded port another host may have this peer already."""
        for mapping in reversed(self._mappings.get(key, ())):
            # Linux looks no further than at the one used last (find_appropriate_src).
            return None if self._taken(mapping.protocol, mapping.outside, peer) else mapping
        return None

    def _outside(self, protocol: Protocol, source: Address, destination: Address, key: _Key) -> Address | None:
        def taken(outside: Address) -> bool:
            if self.settings.overloading:
                return self._taken(protocol, outside, destination)
            return (protocol, outside) in self._by_outside

        return self._outsides.choose(source, self._neighbour(key), taken)

    def _taken(self, protocol: Protocol, outside: Address, peer: Address) -> bool:
        """Whether packets between these two would not be told apart from others."""
        if (protocol, outside, peer) in self._by_outside_peer:
            return True
        return protocol == "udp" and (outside, peer) in self._strays

    def _neighbour(self, key: _Key) -> Address | None:
        """The outside endpoint next to which this inside one belongs: RTP's, for RTCP, and the other way round."""
        if not self.settings.contiguity:
            return None
        protocol, (host, port), rest = key
        step = 1 if port % 2 else -1
        for mapping in reversed(self._mappings.get((protocol, (host, port - step), rest), ())):
            return (mapping.outside[0], mapping.outside[1] + step)
        return None

    def _begin(self, mapping: _Mapping, peer: Address, now: float) -> _Session:
        protocol = mapping.protocol
        shared = protocol == "udp" and self.settings.timer == "mapping"
        lease = mapping.lease or _Lease(self, now)
        if shared:
            mapping.lease = lease
        session = _Session(mapping, peer, lease)
        lease.sessions.append(session)
        self._by_inside_peer[protocol, mapping.inside, peer] = session
        self._by_outside_peer[protocol, mapping.outside, peer] = session
        mapping.peers[peer[0]] = mapping.peers.get(peer[0], 0) + 1
        if not mapping.sessions:
            self._outsides.take(mapping.inside[0], mapping.outside)
            self._by_outside[protocol, mapping.outside] = mapping
        mapping.sessions += 1
        known = self._mappings.setdefault(mapping.key, [])
        if mapping in known:
            known.remove(mapping)
        known.append(mapping)
        return session

    def forget(self, session: _Session) -> None:
        """Its lease ran out."""
        mapping, peer = session.mapping, session.peer
        protocol, outside = mapping.protocol, mapping.outside
        del self._by_inside_peer[protocol, mapping.inside, peer]
        del self._by_outside_peer[protocol, outside, peer]
        mapping.peers[peer[0]] -= 1
        if not mapping.peers[peer[0]]:
            del mapping.peers[peer[0]]
        mapping.sessions -= 1
        if mapping.sessions:
            return
        self._outsides.give_back(mapping.inside[0])
        if self._by_outside.get((protocol, outside)) is mapping:
            del self._by_outside[protocol, outside]
        known = self._mappings[mapping.key]
        known.remove(mapping)
        if not known:
            del self._mappings[mapping.key]

    # --- filtering and time -------------------------------------------------------------------------------

    def _admits(self, mapping: _Mapping, peer: Address) -> bool:
        """Whether a peer without a session may send to it."""
        if self.settings.filtering == "endpoint_independent":
            return True
        return self.settings.filtering == "address_dependent" and peer[0] in mapping.peers

    def _unsolicited(self, reason: Reason) -> Dropped:
        return Dropped(reason, self.settings.unsolicited == "refuse")

    def _track(self, outside: Address, peer: Address, now: float) -> None:
        settings = self.settings
        if (
            not settings.overloading
            or settings.unsolicited == "drop"
            or len(self._strays) >= settings.max_sessions
        ):
            return
        stray = self._strays.setdefault((outside, peer), _Stray(self._strays, (outside, peer)))
        self._timers.arm(stray, now + settings.unreplied_s)

    def _note(self, session: _Session, segment: Segment, now: float, *, outward: bool) -> None:
        """A packet of this session passed."""
        if session.mapping.protocol == "udp":
            self._refresh(session.lease, now, outward=outward)
            return
        session.tcp = _TCP_STATES.get((session.tcp, segment), session.tcp)
        settings = self.settings
        lasts_s = settings.tcp_established_s if session.tcp == "established" else settings.tcp_transitory_s
        self._timers.arm(session.lease, now + lasts_s)

    def _refresh(self, lease: _Lease, now: float, *, outward: bool) -> None:
        settings = self.settings
        if settings.stream_after_s is None:
            lease.replied = lease.replied or not outward
            long = lease.replied
        else:
            long = lease.replied and now > lease.begun_s + settings.stream_after_s
            lease.replied = lease.replied or not outward
        if lease.due == NEVER or (settings.refresh_outbound if outward else settings.refresh_inbound):
            self._timers.arm(lease, now + (settings.replied_s if long else settings.unreplied_s))
