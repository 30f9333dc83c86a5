"""Edges: what siptwin itself is. Sections named after a class of ``engine.config`` are that class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from engine.config import (
    ApiConfig,
    CallRecordsConfig,
    EdgeConfig,
    HealthConfig,
    HomerConfig,
    KeepAliveConfig,
    LimitsConfig,
    PassiveConfig,
    PolicyConfig,
    ProbeConfig,
    RegistrarConfig,
    RescueConfig,
    StoreConfig,
    StreamsConfig,
    TimersConfig,
)
from topologies.base import Host, Mirror, Positive, Section, Table, default_of
from topologies.edge_interfaces import EdgeInterface
from topologies.relays import OptionalRelay


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
        stream_connections=Field(ge=1, description="Most connections at once (TCP, TLS, WebSocket)."),
        bindings=Field(ge=1, description="Most registered contacts at once."),
        retry_after_s=Field(ge=0, description="Retry-After of the 503 that is sent at a bound, in seconds."),
    ),
]


Registrar = Annotated[
    RegistrarConfig,
    Mirror(
        mode=Field(
            description="What nodes store of an agent. contact: this edge with a token; path: the agent's Contact "
            "and this edge as Path; direct: the agent's address as seen from here."
        ),
        strip_transport=Field(description="Whether ;transport=ws and wss are kept from the nodes."),
        secret=Field(min_length=16, description="Keys the tokens; edges that share it understand each other's."),
        default_expires_s=Field(ge=1, description="Asked for where an agent doesn't say."),
        agent_min_expires_s=Field(ge=0, description="An agent that asks for less gets 423."),
        agent_max_expires_s=Field(ge=1, description="Longest expiry that an agent is granted."),
        node_min_expires_s=Field(ge=0, description="Shortest expiry that nodes are asked for."),
        node_max_expires_s=Field(ge=1, description="Longest expiry that nodes are asked for."),
        throttle=Field(
            description="Whether unchanged refreshes are answered here while the node's grant outlives what the "
            "agent is told; so it takes a node_min_expires_s above what agents ask for."
        ),
        contacts_per_aor=Field(ge=1, description="Most contacts of one user."),
        outbound=Field(description="Whether RFC 5626 (flows, instances) is offered."),
        flow_timer_s=Field(ge=0, description="Keep-alive interval told to outbound agents; 0: none is told."),
        gruu=Field(description="Whether RFC 5627 addresses are given out."),
        on_flow_lost=Field(description="remove or mark the contacts of a connection that was lost."),
        flow_wait_s=Field(
            ge=0, description="Calls and BYEs wait so long for an agent whose connection was lost; 0: not at all."
        ),
        shared=Field(description="Whether the nodes share one database of registrations."),
        rehome_window_s=Field(ge=0, description="Agents of a lost node register anew spread over so long."),
    ),
]

Streams = Annotated[
    StreamsConfig,
    Mirror(
        lifetime=Field(description="fixed: idle_s; above_expiry; follows_registration."),
        idle_s=Field(gt=0, description="A connection without a SIP message for so long is closed."),
        margin_s=Field(ge=0, description="What a lifetime is longer than the expiry that it follows."),
        ping_interval_s=Field(ge=0, description="Seconds between pings to a WebSocket; 0: none."),
        ping_timeout_s=Field(gt=0, description="A ping unanswered for so long: the peer is gone."),
        first_message_s=Field(
            gt=0, description="A message, and the first one at all, must be whole within so long."
        ),
        connections_per_address=Field(ge=1, description="Most connections from one address."),
    ),
]

Rescue = Annotated[
    RescueConfig,
    Mirror(
        enabled=Field(description="Whether conversations go on when their node dies (takes a relay)."),
        others=Field(
            description="What becomes of calls that can't go on: end, hold (in silence), or move: a call to an "
            "application, as the node's events tell, is made anew to another node, with X-Siptwin-Rescued."
        ),
        otherwise=Field(description="end or hold those that can't be moved."),
        moves_per_s=Field(gt=0, description="How many are moved in a second at most."),
        move_within_s=Field(
            gt=0, description="Seconds from a node's death in which a call is moved, or not at all."
        ),
    ),
]

KeepAlive = Annotated[
    KeepAliveConfig,
    Mirror(
        method=Field(description="options, crlf or none."),
        interval_s=Field(gt=0, description="Seconds between two to one agent."),
        jitter=Field(ge=0, lt=1, description="Share of the interval by which each is moved at random."),
        missed=Field(ge=1, description="Unanswered OPTIONS in a row until the contact is given up."),
        natted_only=Field(description="Only agents whose Contact is not where they send from."),
    ),
]


def _named_database(given: Any) -> Any:
    return {"database": given} if isinstance(given, str) else given


Store = Annotated[
    StoreConfig,
    Mirror(
        database=Field(description="Which of databases: keeps what outlives the process; default: none."),
        write_through=Field(
            description="Kinds of records (bindings, dialogs, nodes) that are in the database before an answer "
            "promises what they say."
        ),
        delay_s=Field(ge=0, description="How long other records may wait to be written: a kill -9 loses them."),
        answer_wait_s=Field(gt=0, description="An answer waits no longer for the database."),
        retry_max_s=Field(gt=0, description="Longest pause between two tries while the database is away."),
        queue_records=Field(ge=1, description="Most records that wait for the database."),
    ),
    BeforeValidator(_named_database),
]


Api = Annotated[
    ApiConfig,
    Mirror(
        host=Field(min_length=1, description="IP address to listen on; what is not loopback needs TLS before it."),
        port=Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one."),
        token_env=Field(description="Environment variable that holds the token."),
        token_file=Field(description="File that holds the token; the path counts from the topology's file."),
        token=Field(min_length=16, description="The token in clear: for tests alone."),
    ),
]

Health = Annotated[
    HealthConfig,
    Mirror(
        host=Field(min_length=1, description="IP address at which load balancers ask."),
        http_port=Field(ge=0, le=65535, description="Port of GET /health, which says 200 or 503; default: none."),
        tcp_port=Field(ge=0, le=65535, description="Port that accepts connections until the edge drains."),
    ),
]


CallRecords = Annotated[
    CallRecordsConfig,
    Mirror(
        csv=Field(
            min_length=1, description="CSV file that is appended to; the path counts from the topology's file."
        ),
        database=Field(description="Which of databases: gets them, in its table calls."),
    ),
]

Homer = Annotated[
    HomerConfig,
    Mirror(
        host=Field(min_length=1, description="Host of the collector."),
        port=Field(ge=1, le=65535, description="Its UDP port."),
        agent_id=Field(ge=0, le=4294967295, description="By which Homer tells its sources apart."),
        everything=Field(description="Whether all signalling is sent, not only what is asked for."),
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
    registrar: Registrar = Field(default=RegistrarConfig(), description="How registrations are relayed.")
    streams: Streams = Field(default=StreamsConfig(), description="Lifetime of connections.")
    keep_alive: KeepAlive = Field(default=KeepAliveConfig(), description="What keeps NAT bindings open.")
    relay: OptionalRelay = Field(
        default=None,
        description="What media go through: off; builtin; or builtin with these settings.",
    )
    store: Store = Field(default=StoreConfig(), description="What outlives the process: a database, or settings.")
    rescue: Rescue = Field(default=RescueConfig(), description="What becomes of calls whose node dies.")
    api: Api | None = Field(
        default=None, description="HTTP for operators' tools over TCP; without it there is the control socket."
    )
    health: Health | None = Field(default=None, description="Health checks of load balancers, without a token.")
    call_records: CallRecords = Field(
        default=CallRecordsConfig(), description="Where a record of each call goes when it is over."
    )
    homer: Homer | None = Field(default=None, description="A collector of Homer for signalling (HEPv3).")
    peers: tuple[str, ...] = Field(
        default=(),
        description="Other edges that its agents may move to, or edges for all. They ask each other for agents, "
        "and share a secret, or a database that keeps one.",
    )
    peer_interface: str | None = Field(
        default=None,
        description="Where other edges talk to it; default: its first interface on UDP, TCP or TLS.",
    )
    domains: tuple[Host, ...] = Field(default=(), description="Names, besides the addresses, that mean this edge.")
    min_session_expires_s: int = Field(
        default=default_of(EdgeConfig, "min_session_expires_s"),
        ge=0,
        description="Session-Expires below it is raised for the nodes (RFC 4028); 0: it stays.",
    )
    dialog_lifetime_s: Positive = Field(
        default=default_of(EdgeConfig, "dialog_lifetime_s"),
        description="A dialog whose BYE was lost ends so late.",
    )

    def call_records_from(self, base: Path | None) -> CallRecordsConfig:
        """The settings of call records; relative paths count from ``base``."""
        records = self.call_records
        if base is None or records.csv is None:
            return records
        return replace(records, csv=str(base / records.csv))

    def api_from(self, base: Path | None) -> ApiConfig | None:
        """The API's settings; relative paths count from ``base``."""
        api = self.api
        if api is None or base is None or api.token_file is None:
            return api
        return replace(api, token_file=str(base / api.token_file))
