"""Settings of the users on one interface. All durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.boundary import Address, Interface
from engine.config import TimersConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesConfig:
    """Users of one kind behind one socket, and the edge that serves them."""

    name: str
    interface: Interface
    server: Address  # where out-of-dialog requests go: the edge
    domain: str  # host part of the users' addresses
    users: tuple[str, ...]
    password: str = "1234"
    registers: bool = True
    expires_s: int = 180  # asked for; the registrar grants what it likes
    refresh_share: float = 0.8  # of the granted expiry, after which a registration is refreshed
    retry_s: float = 30.0  # after a registration that failed
    register_spread_s: float = 1.0  # the users' first registrations are spread evenly over so long
    ring_delay_s: float = 0.1  # from an INVITE to its 180, when called
    answer_delay_s: float = 1.0  # from the 180 to the 200, when called
    media_port: int = 40_000  # written into session descriptions
    timers: TimersConfig = field(default_factory=TimersConfig)
