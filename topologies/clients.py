"""Clients: call generators, softphones and browsers, modelled in simulation and rehearsal, real when serving."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.boundary import Transport
from topologies.base import IpAddress, Port, Positive, Seconds, Section, Share
from topologies.errors import RefusedError
from topologies.nodes import UserRange, Users

WEB_SOCKETS = ("ws", "wss")


class Reconnect(Section):
    """How a browser opens a lost WebSocket again: after a random while that doubles each time, as JsSIP does."""

    min_s: Seconds = Field(default=2.0, description="Shortest wait; JsSIP's connection_recovery_min_interval.")
    max_s: Positive = Field(default=30.0, description="Longest wait; JsSIP's connection_recovery_max_interval.")


class ClientKeepAlive(Section):
    """What a client itself does to keep its way open."""

    method: Literal["crlf", "none"] = Field(default="none", description="crlf (RFC 5626 §3.5.1) or none.")
    interval_s: Positive = Field(default=25.0, description="Seconds between two; jitter takes off up to a fifth.")


def _no_reconnect(given: Any) -> Any:
    return None if given is False else given


def _one_or_many(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


class Client(Section):
    """Users of one kind at one place."""

    kind: Literal["traffic", "softphone", "browser"] = Field(
        default="traffic",
        description="traffic: a call generator, many users on one socket. "
        "softphone: one socket a user, the first on `port`, each next user one port higher. "
        "browser: one WebSocket a user, as JsSIP does.",
    )
    host: IpAddress = Field(description="IP address that it talks from.")
    port: Port = Field(default=5060, description="Port that it talks from; a browser has none of its own.")
    transport: Transport = Field(
        default="udp", description="udp, tcp, tls, ws or wss; a browser's is ws or wss (default)."
    )
    edge: str | None = Field(default=None, description="Edge that it talks to; default: the first edge.")
    balancer: str | None = Field(default=None, description="Balancer that it talks to, instead of an edge.")
    interface: str | None = Field(
        default=None,
        description="Interface of that edge, or listener of that balancer; "
        "default: its first one of the same transport.",
    )
    nodes: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = Field(
        default=(),
        description="Nodes that its users talk to by themselves, past any edge: each begins with the next "
        "one and goes on to another when its registration fails.",
    )
    media: Literal["any", "rtp", "webrtc"] = Field(
        default="any",
        description="Offers taken when called: rtp answers 488 to a browser's, webrtc 603 to plain ones.",
    )
    asymmetric: bool = Field(
        default=False, description="Whether its media leave from another port than its descriptions tell."
    )
    users: Users = Field(
        default=UserRange(), description="Its users: a range such as 1000-1019, or a count from 1000 on."
    )
    password: str = Field(default="1234", description="Their password.")
    registers: bool | None = Field(
        default=None,
        description="Whether its users register at the start; default: all but those of traffic do.",
    )
    register_spread_s: Seconds = Field(
        default=1.0, description="Its users come, and register, spread evenly over so long."
    )
    expires_s: int = Field(
        default=180, ge=1, description="Expiry that a registration asks for, in seconds (JsSIP: 600)."
    )
    refresh_share: Annotated[Share, Field(gt=0)] | None = Field(
        default=None,
        description="Share of the granted expiry after which it is refreshed; default: 0.9 as baresip, or at "
        "random from a half to 32 s before the end as JsSIP.",
    )
    retry_s: Positive | None = Field(
        default=None,
        description="Another attempt so long after a refused registration; default: 30, browsers make none.",
    )
    outbound: bool = Field(
        default=False, description="Whether a softphone does RFC 5626: an instance, a new flow for a lost one."
    )
    keep_alive: ClientKeepAlive = Field(
        default=ClientKeepAlive(), description="Keep-alives that the client sends by itself."
    )
    reconnect: Annotated[Reconnect | None, BeforeValidator(_no_reconnect)] = Field(
        default=Reconnect(), description="How a browser opens a lost WebSocket again; false: not at all."
    )
    tab: Literal["shown", "hidden", "throttled"] = Field(
        default="shown",
        description="A browser's tab. hidden: its timers ring on whole seconds; throttled: after 5 minutes once a "
        "minute only (Chromium's intensive throttling).",
    )
    ring_delay_s: Seconds = Field(default=0.1, description="From an INVITE to its 180, when called.")
    answer_delay_s: Seconds = Field(default=1.0, description="From its 180 to its 200, when called.")
    network: str | None = Field(
        default=None, description="What lies before it: lan, wan, or one of networks:; default: links_default."
    )

    behind: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = Field(
        default=(), description="NAT that it is behind, or several, the innermost first."
    )

    @model_validator(mode="before")
    @classmethod
    def _browsers_are_secure(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("kind") == "browser" and "transport" not in given:
            return {**given, "transport": "wss"}
        return given

    @model_validator(mode="after")
    def _fitting(self) -> Client:
        if self.kind == "browser" and self.transport not in WEB_SOCKETS:
            raise RefusedError(f"a browser has no {self.transport}", "write transport: ws or wss, or leave it out")
        if self.kind != "browser":
            for key in ("reconnect", "tab"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise RefusedError(f"a client of kind {self.kind} has no {key}", "leave it out")
        if self.reconnect is not None and self.reconnect.min_s > self.reconnect.max_s:
            raise RefusedError("reconnect: min_s is above max_s", "swap the two")
        return self

    @property
    def does_register(self) -> bool:
        return self.kind != "traffic" if self.registers is None else self.registers

    @property
    def lone(self) -> bool:
        """Whether all its users are at one place."""
        return self.kind == "traffic"

    @property
    def listens(self) -> bool:
        """Whether others may connect to it; over TLS and WebSocket it only connects itself."""
        return self.transport in ("udp", "tcp")

    @property
    def ports(self) -> range:
        """The ports that it binds."""
        count = {"traffic": 1, "softphone": len(self.users), "browser": 0}[self.kind]
        return range(self.port, self.port + count)
