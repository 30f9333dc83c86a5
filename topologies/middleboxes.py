"""What stands between clients and edges: NATs and load balancers. For the simulation only.

Presets, with the sources of their figures, are in ``sim.nat.presets`` and ``sim.balancer.presets``; what a file
says besides goes over them, key by key.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.boundary import Transport
from topologies.base import IpAddress, Port, Positive, Seconds, Section, Table

Dependence = Literal["endpoint_independent", "address_dependent", "address_and_port_dependent"]


class _Overrides(Section):
    """Fields that are None where the preset's value stands."""

    _own: ClassVar[frozenset[str]] = frozenset()

    @property
    def overrides(self) -> dict[str, Any]:
        """What the file says of the preset's settings."""
        return self.model_dump(exclude=set(self._own), exclude_none=True)


class Nat(_Overrides):
    """A NAT, or as many alike as there are addresses behind it."""

    _own: ClassVar[frozenset[str]] = frozenset({"preset", "host", "pool", "each"})

    preset: Literal[
        "full_cone",
        "restricted",
        "port_restricted",
        "symmetric",
        "linux_masquerade",
        "carrier_grade",
        "home_gateway",
    ] = Field(
        default="linux_masquerade",
        description="Kind of NAT. carrier_grade is two in a row: each home's and one more.",
    )
    host: IpAddress = Field(description="Its outside IP address; those of more devices or of a pool follow it.")
    pool: int = Field(default=1, ge=1, le=65_536, description="How many outside addresses each device has.")
    each: bool | None = Field(
        default=None,
        description="Whether each address behind it has a device of its own; default: only with home_gateway.",
    )

    mapping: Dependence | None = Field(default=None, description="Mapping behaviour (RFC 4787 §4.1).")
    filtering: Dependence | None = Field(default=None, description="Filtering behaviour (RFC 4787 §5).")
    preserve_port: bool | None = Field(
        default=None, description="Whether the inside port is kept where it is free."
    )
    parity: bool | None = Field(default=None, description="Whether an even port gets an even one.")
    contiguity: bool | None = Field(default=None, description="Whether RTP's and RTCP's ports stay neighbours.")
    overloading: bool | None = Field(
        default=None, description="Whether one outside port serves several inside hosts, to different peers."
    )
    assignment: Literal["random", "sequential"] | None = Field(
        default=None, description="How a port is found where it is not kept: random or sequential."
    )
    first_port: Port | None = Field(default=None, description="First outside port.")
    last_port: Port | None = Field(default=None, description="Last outside port.")
    pooling: Literal["paired", "arbitrary"] | None = Field(
        default=None, description="paired: one outside address of the pool for each inside address; arbitrary."
    )
    hairpinning: bool | None = Field(
        default=None, description="Whether inside hosts reach each other's outside addresses."
    )
    unsolicited: Literal["drop", "refuse"] | None = Field(
        default=None, description="What comes unasked: drop, or refuse (ICMP, RST)."
    )
    unreplied_s: Seconds | None = Field(default=None, description="UDP time-out before anything came back.")
    replied_s: Seconds | None = Field(default=None, description="UDP time-out once something came back.")
    stream_after_s: Seconds | None = Field(
        default=None, description="Linux: replied_s counts only when so long has passed since the first packet."
    )
    timer: Literal["mapping", "session"] | None = Field(
        default=None, description="What runs out: the whole mapping, or one peer's part of it."
    )
    refresh_outbound: bool | None = Field(default=None, description="Whether packets from inside refresh.")
    refresh_inbound: bool | None = Field(default=None, description="Whether packets from outside refresh.")
    tcp_established_s: Seconds | None = Field(
        default=None, description="Time-out of a TCP connection that stands."
    )
    tcp_transitory_s: Seconds | None = Field(
        default=None, description="Time-out of a TCP connection that is set up or taken down."
    )
    tcp_unknown: Literal["drop", "reset", "adopt"] | None = Field(
        default=None,
        description="A segment from inside of a connection that it does not know: drop, reset, adopt.",
    )
    max_sessions: int | None = Field(default=None, ge=1, description="Most sessions at once.")

    @property
    def is_each(self) -> bool:
        return self.preset == "home_gateway" if self.each is None else self.each


class Listener(Section):
    """One address and protocol of a balancer."""

    transport: Transport = Field(default="udp", description="udp, tcp, tls, ws or wss.")
    port: Port = Field(default=5060, description="Port that clients talk to.")
    interface: str | None = Field(
        default=None, description="Interface of the edges; default: each one's first of the same transport."
    )


class Balancer(_Overrides):
    """A load balancer or proxy before edges."""

    _own: ClassVar[frozenset[str]] = frozenset({"preset", "host", "edges", "listeners"})

    preset: Literal["plain", "aws_nlb", "aws_alb", "nginx", "huawei_elb", "huawei_elb_http", "alibaba_clb"] = (
        Field(default="plain", description="Product whose time-outs and checks it has.")
    )
    host: IpAddress = Field(description="IP address that clients talk to.")
    edges: tuple[str, ...] = Field(default=("edges",), min_length=1, description="Edges behind it; default: all.")
    listeners: Table[Listener] = Field(
        min_length=1, description="What it listens on, by name; a client takes the first of its transport."
    )

    choice: Literal["source", "flow", "round_robin"] | None = Field(
        default=None,
        description="Who serves a new flow: by source address (sticky), by address and port, in turn.",
    )
    keeps_source: bool | None = Field(default=None, description="Whether edges see the clients' addresses.")
    tcp_idle_s: Positive | None = Field(default=None, description="A connection without traffic for so long ends.")
    udp_idle_s: Positive | None = Field(default=None, description="A UDP flow without traffic for so long ends.")
    on_idle: Literal["close", "reset", "drop"] | None = Field(
        default=None, description="An idle connection: close both ends, reset whoever speaks next, drop."
    )
    moves: bool | None = Field(default=None, description="Whether UDP flows leave an unhealthy edge.")
    fails_open: bool | None = Field(default=None, description="Whether all are healthy where none is.")
    check_interval_s: Positive | None = Field(default=None, description="Seconds between two health checks.")
    check_timeout_s: Positive | None = Field(
        default=None, description="A check without an answer for so long failed."
    )
    unhealthy_after: int | None = Field(default=None, ge=1, description="Failed checks in a row.")
    healthy_after: int | None = Field(default=None, ge=1, description="Passed checks in a row.")
    max_sessions: int | None = Field(default=None, ge=1, description="Most flows at once.")
