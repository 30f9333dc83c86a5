"""What an edge is told of its rtpengines. All durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias

from engine.boundary import Address

NgTransport: TypeAlias = Literal["udp", "tcp", "ws"]

NG_SUBPROTOCOL: Final = "ng.rtpengine.com"
"""By which rtpengine knows the WebSockets (``--listen-http``) that bring orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NgServerConfig:
    """One rtpengine: where it listens for the NG protocol. ``host`` is an IP literal or a name that resolves."""

    name: str
    host: str
    port: int = 2223
    transport: NgTransport = "udp"
    weight: int = 1  # its share of the calls
    enabled: bool = True

    @property
    def address(self) -> Address:
        return (self.host, self.port)

    @property
    def is_numeric(self) -> bool:
        """Whether ``host`` is an address, so that answers are known by where they come from as well."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NgConfig:
    """All rtpengines of an edge, and how patient it is with them."""

    servers: tuple[NgServerConfig, ...] = ()
    control_host: str | None = None  # from where they are given orders; None: the edge's first interface
    # A caller waits for the answer to an offer, so a lost datagram is repeated soon; rtpengine knows the cookie
    # and gives the same answer again.
    resend_after_s: tuple[float, ...] = (0.1, 0.2, 0.4)
    timeout_s: float = 1.0  # an order without an answer for so long has failed; a new call then tries another
    ping_interval_s: float = 0.5
    ping_timeout_s: float = 0.5
    leave_after: int = 2  # unanswered pings in a row until it is down
    return_after: int = 2  # answered ones until it is used again
    jitter: float = 0.1  # share of the interval by which each ping is moved
    reanchored_per_s: float = (
        100.0  # calls of a dead rtpengine that are moved to another, by re-INVITEs to both sides
    )
    reply_bytes: int = 65_535  # longest answer that is read
    pending: int = 10_000  # most orders that wait for an answer

    @property
    def transports(self) -> tuple[NgTransport, ...]:
        """By which the servers are spoken to."""
        return tuple(sorted({server.transport for server in self.servers}))
