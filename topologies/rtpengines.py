"""rtpengines: where they are, and how patient an edge is with them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from engine.media.ng.settings import NgConfig, NgServerConfig, NgTransport
from topologies.base import Host, IpAddress, Port, Positive, Section, Share, Table, default_of


def _address(given: Any) -> Any:
    """``10.0.0.7``, ``relay.example.org:2223`` or ``[2001:db8::7]:2223`` as a short form."""
    if not isinstance(given, str):
        return given
    match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::(\d+))?", given)
    if match is None:
        return {"host": given}
    return {"host": match[1], "port": match[2]} if match[2] else {"host": match[1]}


class Rtpengine(Section):
    """One rtpengine."""

    host: Host = Field(description="Where it listens for the NG protocol: an IP address or a name.")
    port: Port = Field(default=default_of(NgServerConfig, "port"), description="Its port (--listen-ng).")
    transport: NgTransport = Field(
        default=default_of(NgServerConfig, "transport"),
        description="udp; tcp where it has --listen-tcp-ng, ws where it has --listen-http.",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$",
        max_length=64,
        description="What Notes, orders and links call it; default: rtpengine1, rtpengine2, ...",
    )
    weight: int = Field(default=default_of(NgServerConfig, "weight"), ge=0, description="Its share of the calls.")
    enabled: bool = Field(default=default_of(NgServerConfig, "enabled"), description="Whether it takes calls.")
    media: Table[IpAddress] = Field(
        default=Table(),
        description="In simulation: its address for each of the relay's interfaces; default: host.",
    )


class RtpengineTimers(Section):
    """How patient an edge is with its rtpengines."""

    timeout_s: Positive = Field(
        default=default_of(NgConfig, "timeout_s"),
        description="An order unanswered for so long has failed; a new call then tries another.",
    )
    ping_interval_s: Positive = Field(
        default=default_of(NgConfig, "ping_interval_s"), description="Seconds between two pings to each."
    )
    ping_timeout_s: Positive = Field(
        default=default_of(NgConfig, "ping_timeout_s"), description="A ping unanswered for so long has failed."
    )
    leave_after: int = Field(
        default=default_of(NgConfig, "leave_after"), ge=1, description="Failed pings in a row until it is down."
    )
    return_after: int = Field(
        default=default_of(NgConfig, "return_after"), ge=1, description="Answered ones until it is used again."
    )
    jitter: Share = Field(
        default=default_of(NgConfig, "jitter"), description="Share of the interval by which pings are moved."
    )
    reanchored_per_s: Positive = Field(
        default=default_of(NgConfig, "reanchored_per_s"),
        description="Calls of a dead one that are moved a second, by re-INVITEs to both sides.",
    )


Rtpengines = tuple[Annotated[Rtpengine, BeforeValidator(_address)], ...]


def name_of(server: Rtpengine, number: int) -> str:
    """Its own name, or its place in the list."""
    return server.name or f"rtpengine{number}"


def ng_config(servers: Rtpengines, timers: RtpengineTimers, control_host: str | None) -> NgConfig | None:
    """The engine's own form; None where there is no rtpengine."""
    if not servers:
        return None
    return NgConfig(
        servers=tuple(
            NgServerConfig(
                name=name_of(server, number),
                host=server.host,
                port=server.port,
                transport=server.transport,
                weight=server.weight,
                enabled=server.enabled,
            )
            for number, server in enumerate(servers, start=1)
        ),
        control_host=control_host,
        **dict(timers),
    )
