"""Edges: what siptwin itself is. Sections named after a class of ``engine.config`` are that class."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from engine.boundary import Interface, Transport
from engine.config import EdgeConfig, LimitsConfig, PassiveConfig, PolicyConfig, ProbeConfig, TimersConfig
from topologies.base import BoundPort, Host, IpAddress, Mirror, Port, Positive, Section, Table, default_of


class EdgeInterface(Section):
    """One local address on which an edge talks."""

    transport: Transport = Field(default="udp", description="udp or tcp.")
    host: IpAddress = Field(description="IP address to bind; 0.0.0.0 for all, then advertised_host is needed.")
    port: BoundPort = Field(default=5060, description="Port to bind; 0 takes a free one (not in simulation).")
    advertised_host: Host | None = Field(
        default=None, description="What Via and Record-Route say where peers cannot reach the bound address."
    )
    advertised_port: Port | None = Field(default=None, description="Port that peers are told, if another.")

    def to_engine(self, name: str) -> Interface:
        """The engine's own form of it."""
        return Interface(
            name=name,
            transport=self.transport,
            host=self.host,
            port=self.port,
            advertised_host=self.advertised_host,
            advertised_port=self.advertised_port,
        )


def _named_policy(given: Any) -> Any:
    return {"use": given} if isinstance(given, str) else given


def _timer(description: str) -> Any:
    return Field(gt=0, description=description)


Policy = Annotated[
    PolicyConfig,
    Mirror(
        use=Field(
            min_length=1,
            description="A stock policy (least_loaded), module:Class, or path/to/file.py, with :Class if need be.",
        ),
        options=Field(description="Keyword arguments of the policy's class."),
    ),
    BeforeValidator(_named_policy),
]

Timers = Annotated[
    TimersConfig,
    Mirror(
        t1_s=_timer("Round-trip estimate; first retransmission interval (RFC 3261 §17.1.1.1)."),
        t2_s=_timer("Longest retransmission interval of non-INVITE requests and INVITE responses."),
        t4_s=_timer("Longest time that a message stays in the network."),
        b_s=_timer("INVITE client gives up; default 64*T1."),
        c_s=_timer("A branch that only rings is cancelled after this time (RFC 3261 §16.6 step 11)."),
        d_s=_timer("Wait for repeated final responses to INVITE."),
        f_s=_timer("Non-INVITE client gives up; default 64*T1."),
        h_s=_timer("Wait for the ACK of a failed INVITE; default 64*T1."),
        i_s=_timer("Absorb repeated ACKs; default T4."),
        j_s=_timer("Absorb repeated non-INVITE requests; default 64*T1."),
        k_s=_timer("Absorb repeated non-INVITE responses; default T4."),
        l_s=_timer("Server side stays after a 2xx to INVITE (RFC 6026); default 64*T1."),
        m_s=_timer("Client side stays after a 2xx to INVITE (RFC 6026); default 64*T1."),
    ),
]

Probe = Annotated[
    ProbeConfig,
    Mirror(
        mode=Field(description="always; disabled_only: probe only nodes that are down; never."),
        interval_s=Field(gt=0, description="Seconds between two OPTIONS to one node."),
        timeout_s=Field(gt=0, description="A probe without an answer for so long has failed."),
        leave_after=Field(ge=1, description="Failed probes in a row until a node is down."),
        return_after=Field(ge=1, description="Answered probes in a row until it is active again."),
        jitter=Field(ge=0, lt=1, description="Share of the interval by which each probe is moved at random."),
    ),
]

Passive = Annotated[
    PassiveConfig,
    Mirror(
        enabled=Field(description="Whether calls tell of a node's health; if not, only probes do."),
        suspect_after_s=Field(gt=0, description="A node that owes a first answer for so long is passed over."),
        down_after=Field(ge=1, description="Attempts in a row without any answer until a node is down."),
        down_silence_s=Field(ge=0, description="... and no other word from it for so long."),
        believe_icmp=Field(description="Port unreachable takes a node down at once."),
        retry_after_cap_s=Field(ge=0, description="Longest Retry-After of a full node that is believed."),
    ),
]

Limits = Annotated[
    LimitsConfig,
    Mirror(
        message_bytes=Field(ge=1300, description="Longest message, in bytes."),
        header_lines=Field(ge=16, description="Most header lines of one message."),
        server_transactions=Field(ge=1, description="Most server transactions at once."),
        dialogs=Field(ge=1, description="Most dialogs at once."),
        stream_connections=Field(ge=1, description="Most TCP connections at once."),
        retry_after_s=Field(ge=0, description="Retry-After of the 503 that is sent at a bound, in seconds."),
    ),
]


class Edge(Section):
    """One siptwin process."""

    interfaces: Table[EdgeInterface] = Field(
        min_length=1,
        description="Local addresses by name; the first one of a transport is that transport's default.",
    )
    nodes: tuple[str, ...] = Field(default=("*",), description="Node groups or nodes served; '*' is every node.")
    policy: Policy = Field(
        default_factory=lambda: PolicyConfig(options=Table()),
        description="How calls are routed: a name, or use: with options:.",
    )
    timers: Timers = Field(default=TimersConfig(), description="SIP timers.")
    probe: Probe = Field(default=ProbeConfig(), description="OPTIONS probes of the nodes.")
    passive: Passive = Field(default=PassiveConfig(), description="What calls themselves tell about a node.")
    limits: Limits = Field(default=LimitsConfig(), description="Bounds of what strangers can make grow.")
    domains: tuple[Host, ...] = Field(default=(), description="Names, besides the addresses, that mean this edge.")
    dialog_lifetime_s: Positive = Field(
        default=default_of(EdgeConfig, "dialog_lifetime_s"),
        description="A dialog whose BYE was lost ends so late.",
    )
