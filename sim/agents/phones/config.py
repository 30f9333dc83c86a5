"""Settings of the users on one interface. All durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.boundary import Address, Interface
from engine.config import TimersConfig
from engine.media.sdp.attributes import Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesConfig:
    """Users of one kind behind one socket, and the edge that serves them."""

    name: str
    interface: Interface
    server: Address  # where out-of-dialog requests go: the edge
    other_servers: tuple[Address, ...] = ()  # taken in turn when a registration fails
    domain: str  # host part of the users' addresses
    users: tuple[str, ...]
    password: str = "1234"
    registers: bool = True
    expires_s: int = 180  # asked for; the registrar grants what it likes
    refresh_share: float = 0.9  # of the granted expiry, after which a registration is refreshed (baresip: 90 %)
    retry_s: float = 30.0  # after a registration that failed; NEVER: it stays so
    outbound: bool = False  # RFC 5626: an instance, a flow number, and another flow as soon as one fails
    keep_alive_s: float = 0.0  # between two CRLF keep-alives to the server (RFC 5626 §3.5.1); 0: none
    comes_s: float = 0.0  # from the start of the machine to its first registration
    register_spread_s: float = 1.0  # the users' first registrations are spread evenly over so long
    ring_delay_s: float = 0.1  # from an INVITE to its 180, when called
    answer_delay_s: float = 1.0  # from the 180 to the 200, when called
    media: Literal["any", "rtp", "webrtc"] = "any"  # offers that are taken when called
    talks: bool = False  # what it does with media is described truly, and told (sim.agents.media)
    webrtc: bool = False  # it speaks UDP/TLS/RTP/SAVPF with ICE, as browsers do, and nothing else
    certificate: Fingerprint | None = None  # that a browser shows; None: a modelled one
    codecs: frozenset[bytes] | None = None  # by name, of those that its kind has; None: all
    asymmetric: bool = False  # its media leave from another port than it describes
    media_port: int = 40_000  # of its first call, in its session descriptions
    media_calls: int = 10  # so many calls later that port is used again; each takes four
    timers: TimersConfig = field(default_factory=TimersConfig)
