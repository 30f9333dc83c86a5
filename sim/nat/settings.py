"""What one NAT does, in the words of RFC 4787 (UDP) and RFC 5382 (TCP). All durations are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

Dependence: TypeAlias = Literal["endpoint_independent", "address_dependent", "address_and_port_dependent"]
"""How much of the far end a mapping or a filter looks at (RFC 4787 §4.1, §5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NatSettings:
    """One NAT. The defaults are what RFC 4787 and RFC 5382 require, or recommend where they leave a choice."""

    mapping: Dependence = "endpoint_independent"  # RFC 4787 REQ-1
    filtering: Dependence = "endpoint_independent"  # REQ-8: where transparency matters more than firewalling

    # --- which outside address and port a mapping gets (§4.2)
    preserve_port: bool = True  # the inside port, where it is free
    parity: bool = True  # REQ-4: an even port for an even one
    contiguity: bool = False  # §4.2.3: RTP's and RTCP's neighbouring ports stay neighbours
    overloading: bool = (
        False  # REQ-3 forbids it, Linux does it: one outside port serves several, to different peers
    )
    assignment: Literal["random", "sequential"] = "random"  # where the port is not preserved
    first_port: int = 1024
    last_port: int = 65_535
    pooling: Literal["paired", "arbitrary"] = "paired"  # REQ-2: one outside address for each inside one

    hairpinning: bool = True  # REQ-9: inside hosts reach each other's outside addresses
    # refuse: ICMP port unreachable, TCP RST. Linux without a firewall refuses, and tracks what it refused: such a
    # packet to a mapping that has run out keeps the inside host from getting the same port for that peer again.
    unsolicited: Literal["drop", "refuse"] = "drop"

    # --- UDP (§4.3)
    unreplied_s: float = 300.0  # REQ-5: at least 120, 300 recommended
    replied_s: float = 300.0  # once something came back
    # None: a reply counts at once. A number is Linux's rule: replied_s counts from the first packet after the
    # reply on, and only when so long has passed since the first packet.
    stream_after_s: float | None = None
    timer: Literal["mapping", "session"] = "mapping"  # what runs out: the whole mapping, or one peer's part of it
    refresh_outbound: bool = True  # REQ-6: must be
    refresh_inbound: bool = True  # REQ-6: may be

    # --- TCP (RFC 5382)
    tcp_established_s: float = 7440.0  # REQ-5: 2 h 4 min
    tcp_transitory_s: float = 240.0  # REQ-5: 4 min, while a connection is set up or taken down
    # A segment from inside of a connection that the NAT doesn't know (its time ran out, or it was restarted).
    tcp_unknown: Literal["drop", "reset", "adopt"] = "drop"

    max_sessions: int = 65_536

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_s") and value is not None and not 0.0 <= value < math.inf:
                raise ValueError(f"{field.name} is {value}: give a duration of 0 s or more")
        if not 1 <= self.first_port <= self.last_port <= 65_535:
            raise ValueError(
                f"ports {self.first_port} to {self.last_port}: give two from 1 to 65535, the lower first"
            )
        if self.max_sessions < 1:
            raise ValueError(f"max_sessions is {self.max_sessions}: give 1 or more")
        if self.overloading and self.filtering != "address_and_port_dependent":
            raise ValueError("overloaded ports need a filter: make filtering address_and_port_dependent")
