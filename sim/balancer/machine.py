"""A balancer as a state machine: which target serves a flow, and who of them is healthy.

It forwards packets from clients to targets and knows which packets of targets are answers to them. TCP and UDP are
alike but for one thing: a TCP segment of a flow that is not known belongs to a connection that was idle too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from engine.boundary import Address
from engine.timers import Timed, TimerQueue
from sim.balancer.settings import BalancerSettings
from sim.nat import Dropped, Protocol, Segment

CLOSING_S: Final = 60.0
"""A connection that is being closed is remembered for so long; the common length of TIME-WAIT."""


class Forwarded(NamedTuple):
    """The packet goes on with these addresses."""

    source: Address
    destination: Address


class _Session(Timed):
    """One flow: a client's address and port, and the target that serves it."""

    __slots__ = ("_balancer", "client", "seen", "target")

    def __init__(self, balancer: Balancer, client: Address, seen: Address, target: Address) -> None:
        super().__init__()
        self._balancer = balancer
        self.client = client
        self.seen = seen  # the client as the target sees it
        self.target = target

    def fire(self, now: float) -> None:
        self._balancer.forget(self)


class _Target:
    __slots__ = ("address", "healthy", "streak")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.healthy = True
        self.streak = 0  # checks in a row that spoke against what it is held for


class Balancer:
    """One listener: its address, its protocol, its targets."""

    def __init__(
        self, settings: BalancerSettings, protocol: Protocol, listener: Address, targets: Sequence[Address]
    ) -> None:
        self.settings = settings
        self.protocol: Protocol = protocol
        self.listener = listener
        self._targets = {address: _Target(address) for address in targets}
        if not self._targets:
            raise ValueError("a balancer needs targets - give it one")
        self._turn = 0
        self.reboot()

    def reboot(self) -> None:
        """Forget every flow."""
        self._timers = TimerQueue()
        self._by_client: dict[Address, _Session] = {}
        self._by_seen: dict[tuple[Address, Address], _Session] = {}  # by target and client as it sees it
        self._next_port = 1024

    # --- packets ------------------------------------------------------------------------------------------

    def forward(self, source: Address, now: float, segment: Segment = "data") -> Forwarded | Dropped:
        """A client's packet to the listener."""
        self._timers.fire_due(now)
        session = self._by_client.get(source)
        if session is None and self.protocol == "tcp" and segment != "syn":
            return self.unknown(segment)
        if session is not None and self._abandons(session):
            self.forget(session)
            session = None
        if session is None:
            target = self._choose(source)
            seen = source if self.settings.keeps_source else self._own(target)
            if target is None or seen is None or len(self._by_client) >= self.settings.max_sessions:
                return Dropped("table full" if target else "no mapping", self.protocol == "tcp")
            session = _Session(self, source, seen, target)
            self._by_client[source] = session
            self._by_seen[target, seen] = session
        self._refresh(session, now, segment)
        return Forwarded(session.seen, session.target)

    def answer(
        self, source: Address, destination: Address, now: float, segment: Segment = "data"
    ) -> Forwarded | None:
        """A packet of a target: with the listener's address where it answers a client, else None."""
        self._timers.fire_due(now)
        session = self._by_seen.get((source, destination))
        if session is None:
            return None
        self._refresh(session, now, segment)
        return Forwarded(self.listener, session.client)

    def unknown(self, segment: Segment) -> Dropped:
        """What becomes of a segment of a connection that is not known, or no more."""
        return Dropped("unknown connection", self.settings.on_idle != "drop" and segment != "rst")

    def closes_at(self, target: Address, seen: Address, now: float) -> float | None:
        """When the connection that ``target`` sees from ``seen`` is closed if nothing passes; None: never."""
        if self.settings.on_idle != "close":
            return None
        self._timers.fire_due(now)
        session = self._by_seen.get((target, seen))
        return session.due if session else now

    def sessions(self, now: float) -> int:
        """How many flows are remembered."""
        self._timers.fire_due(now)
        return len(self._by_client)

    def forget(self, session: _Session) -> None:
        """It was idle too long, or moves."""
        if self._by_client.get(session.client) is session:
            del self._by_client[session.client]
            del self._by_seen[session.target, session.seen]

    # --- health -------------------------------------------------------------------------------------------

    @property
    def targets(self) -> tuple[Address, ...]:
        return tuple(self._targets)

    @property
    def healthy(self) -> tuple[Address, ...]:
        """The targets that are held for healthy, in their order."""
        return tuple(target.address for target in self._targets.values() if target.healthy)

    def checked(self, address: Address, well: bool) -> bool:
        """A health check came out so; whether the target is held for something else now."""
        target = self._targets[address]
        if well == target.healthy:
            target.streak = 0
            return False
        target.streak += 1
        if target.streak < (self.settings.healthy_after if well else self.settings.unhealthy_after):
            return False
        target.healthy, target.streak = well, 0
        return True

    # --- inside -------------------------------------------------------------------------------------------

    def _choose(self, source: Address) -> Address | None:
        able = self.healthy or (self.targets if self.settings.fails_open else ())
        if not able:
            return None
        if self.settings.choice == "round_robin":
            self._turn += 1
            return able[(self._turn - 1) % len(able)]
        key = source[0] if self.settings.choice == "source" else f"{source[0]}:{source[1]}"
        # The highest of all hashes wins: when a target goes, only its own clients move (rendezvous hashing).
        return max(
            able, key=lambda target: blake2b(f"{key} {target[0]}:{target[1]}".encode(), digest_size=8).digest()
        )

    def _own(self, target: Address | None) -> Address | None:
        """An address and port of the balancer's own, which no other flow to this target has."""
        if target is None:
            return None
        for _ in range(64_512):
            own = (self.listener[0], self._next_port)
            self._next_port = 1024 if self._next_port == 65_535 else self._next_port + 1
            if (target, own) not in self._by_seen and own != self.listener:
                return own
        return None

    def _abandons(self, session: _Session) -> bool:
        return self.protocol == "udp" and self.settings.moves and not self._targets[session.target].healthy

    def _refresh(self, session: _Session, now: float, segment: Segment) -> None:
        lasts_s = self.settings.udp_idle_s if self.protocol == "udp" else self.settings.tcp_idle_s
        if segment in ("fin", "rst"):
            lasts_s = min(lasts_s, CLOSING_S)
        self._timers.arm(session, now + lasts_s)
