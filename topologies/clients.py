"""Clients: call generators and softphones, modelled in simulation and rehearsal, real when serving."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from engine.boundary import Transport
from topologies.base import IpAddress, Port, Seconds, Section
from topologies.nodes import UserRange, Users


def _one_or_many(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


class Client(Section):
    """Users of one kind at one place."""

    kind: Literal["traffic", "softphone"] = Field(
        default="traffic",
        description="traffic: a call generator, many users on one socket. "
        "softphone: one socket a user, the first on `port`, each next user one port higher.",
    )
    host: IpAddress = Field(description="IP address that it talks from.")
    port: Port = Field(default=5060, description="Port that it talks from.")
    transport: Transport = Field(default="udp", description="udp or tcp.")
    edge: str | None = Field(default=None, description="Edge that it talks to; default: the first edge.")
    balancer: str | None = Field(default=None, description="Balancer that it talks to, instead of an edge.")
    interface: str | None = Field(
        default=None,
        description="Interface of that edge, or listener of that balancer; "
        "default: its first one of the same transport.",
    )
    users: Users = Field(
        default=UserRange(), description="Its users: a range such as 1000-1019, or a count from 1000 on."
    )
    password: str = Field(default="1234", description="Their password.")
    registers: bool | None = Field(
        default=None,
        description="Whether its users register at the start; default: softphones do, traffic does not.",
    )
    expires_s: int = Field(default=180, ge=1, description="Expiry that a registration asks for, in seconds.")
    ring_delay_s: Seconds = Field(default=0.1, description="From an INVITE to its 180, when called.")
    answer_delay_s: Seconds = Field(default=1.0, description="From its 180 to its 200, when called.")
    network: str | None = Field(
        default=None, description="What lies before it: lan, wan, or one of networks:; default: links_default."
    )

    behind: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = Field(
        default=(), description="NAT that it is behind, or several, the innermost first."
    )

    @property
    def does_register(self) -> bool:
        return self.kind == "softphone" if self.registers is None else self.registers

    @property
    def ports(self) -> range:
        """The ports that it binds."""
        return range(self.port, self.port + (len(self.users) if self.kind == "softphone" else 1))
