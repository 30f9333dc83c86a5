"""Settings of the edge: frozen, typed, complete. ``topologies`` reads them from YAML; tests build them directly.

Defaults follow the RFC where one rules; other defaults say why beside them. All durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from engine.boundary import Interface, RecordKind, Transport
from engine.media.ng.settings import NG_SUBPROTOCOL, NgConfig

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TimersConfig:
    """RFC 3261 Table 4 and §16.6 (timer C), RFC 6026 (L and M). None means the RFC's multiple of T1 or T4."""

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    b_s: float | None = None  # 64*T1: INVITE client gives up
    c_s: float = 180.0  # §16.6 step 11: "more than 3 minutes"; fires when a branch only rings
    d_s: float = 32.0  # wait for repeated INVITE responses, at least 32 s on UDP
    f_s: float | None = None  # 64*T1: non-INVITE client gives up
    h_s: float | None = None  # 64*T1: wait for the ACK
    i_s: float | None = None  # T4: absorb repeated ACKs
    j_s: float | None = None  # 64*T1: absorb repeated non-INVITE requests
    k_s: float | None = None  # T4: absorb repeated responses
    l_s: float | None = None  # 64*T1: server side, after a 2xx (RFC 6026)
    m_s: float | None = None  # 64*T1: client side, after a 2xx (RFC 6026)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """How the nodes are probed, by OPTIONS."""

    mode: Literal["always", "disabled_only", "never"] = "always"  # OpenSIPS' probe modes 2, 1, 0
    interval_s: float = 5.0
    timeout_s: float = 1.0
    leave_after: int = 2  # unanswered probes in a row until a node is down
    return_after: int = 1  # answered probes in a row until it is active again
    jitter: float = 0.1  # share of the interval by which each probe is moved, so that edges don't march in step


@dataclass(frozen=True, slots=True, kw_only=True)
class PassiveConfig:
    """What calls themselves tell about a node, between two probes."""

    enabled: bool = True  # False: only probes change a node's state
    # a node that owes a first answer for so long is passed over while others can serve
    suspect_after_s: float = 0.2
    # attempts in a row without any answer, and no other word from it for so long, until the node is down
    down_after: int = 3
    down_silence_s: float = 1.0
    believe_icmp: bool = True  # port unreachable: the process is gone, down at once
    # FreeSWITCH always says 300 when full, though a channel may be free in a second
    retry_after_cap_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsConfig:
    """A node's event socket (mod_event_socket), at the node's own host."""

    port: int = 8021
    # Where the host finds the password: in a variable of its environment, or in a file. Neither: FreeSWITCH's own.
    password_env: str | None = None
    password_file: str | None = None
    password: str = field(default="ClueCon", repr=False)
    poll_s: float = 1.0  # how often it is asked whether it is paused, of which FreeSWITCH tells no event
    timeout_s: float = 2.0  # a connection, or an answer, that takes longer is given up
    retry_min_s: float = 0.5  # between two tries, doubled after each failed one
    retry_max_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One FreeSWITCH node. ``host`` is an IP literal or a name that resolves; ``interface`` the edge's side."""

    name: str
    host: str
    port: int = 5060
    transport: Transport = "udp"
    interface: str | None = None  # None: the first interface of the node's transport
    groups: tuple[str, ...] = ("fs",)
    weight: int = 1
    priority: int = 0  # higher is tried first
    # channels by name, for example {"pstn": 500, "conf": 100}
    resources: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    told_resources: tuple[str, ...] = ()  # those whose channels the node itself tells, by its event socket
    enabled: bool = True
    probe_mode: Literal["always", "disabled_only", "never"] | None = None  # None: as the edge probes all nodes
    events: EventsConfig | None = None

    def lacks(self, resource: str) -> bool:
        """Whether the node counts channels, and has none of this resource."""
        counted = (*self.resources, *self.told_resources)
        return bool(resource and counted) and resource not in counted


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrarConfig:
    """How registrations are relayed: what the nodes store, what the agents are granted, what is kept."""

    # contact: the nodes store this edge's address with an opaque token in its user part.
    # path: they store the agent's Contact, and this edge as Path (RFC 3327).
    # direct: they store the agent's address as the edge sees it (no call reaches a browser so).
    mode: Literal["contact", "path", "direct"] = "contact"
    strip_transport: bool = True  # no ;transport=ws in what the nodes store
    # Keys the tokens, so it must survive a restart, and edges that share it understand each other's. None: one for
    # the life of the process.
    secret: str | None = field(default=None, repr=False)
    default_expires_s: int = 3600  # RFC 3261 §10.2: asked for where an agent doesn't say
    agent_min_expires_s: int = 60  # below it: 423
    agent_max_expires_s: int = 3600  # what agents are granted at most
    node_min_expires_s: int = 60  # asked of the nodes at least and at most; what they grant bounds what is told on
    node_max_expires_s: int = 3600
    throttle: bool = True  # unchanged refreshes are answered here while the node's grant lasts
    contacts_per_aor: int = 10
    outbound: bool = True  # RFC 5626
    flow_timer_s: int = 0  # told to outbound agents; 0: not told
    gruu: bool = False  # RFC 5627; JsSIP then puts its GRUU into each Contact
    on_flow_lost: Literal["remove", "mark"] = "remove"  # bindings of a connection that was lost
    # Requests for an agent whose connection was lost wait so long for its return; JsSIP tries after 2 s.
    flow_wait_s: float = 5.0
    shared: bool = True  # the nodes share one database of registrations, so that none needs re-homing
    rehome_window_s: float = 30.0  # agents of a lost node are made to register anew, spread over so long


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """How long accepted connections live, and how their death is noticed."""

    # fixed: idle for idle_s. above_expiry: idle for longer than any registration. follows_registration: as fixed,
    # but never before the registrations that came over it have expired.
    lifetime: Literal["fixed", "above_expiry", "follows_registration"] = "follows_registration"
    idle_s: float = 120.0  # OpenSIPS' tcp_connection_lifetime
    margin_s: float = 32.0  # beyond an expiry: 64*T1, the last retransmission of the refresh
    ping_interval_s: float = 25.0  # pings to WebSockets (below the 60 s of common proxies); 0: none
    ping_timeout_s: float = 10.0  # a ping unanswered for so long: the peer is gone
    first_message_s: float = 10.0  # a message must have come whole by then; the first, counted from the opening
    connections_per_address: int = 2000  # a whole office may sit behind one address


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveConfig:
    """What keeps NAT bindings of registered UDP agents open, from the edge's side."""

    method: Literal["options", "crlf", "none"] = "options"
    interval_s: float = 25.0  # home gateways forget after 30 s at the earliest (Hätönen et al., IMC 2010)
    jitter: float = 0.1  # share of the interval by which each is moved
    missed: int = 3  # unanswered OPTIONS in a row until the binding is given up
    natted_only: bool = True  # agents whose Contact is where they send from need none


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInterface:
    """An address of the relay, and the UDP ports that it may take there, ``low`` to ``high``.

    ``host`` is bound; ``advertised_host`` is what peers are told where that differs. Peers that are reached over
    the SIP interfaces in ``serves`` are told of this one.
    """

    name: str
    host: str
    advertised_host: str | None = None
    low: int = 30_000
    high: int = 39_999
    serves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """The relay: where media go through, and what each kind of peer is offered.

    With ``rtpengine`` it is that, and ``interfaces`` are the logical ones that each rtpengine has: of these only
    name and ``serves`` count then.
    """

    interfaces: tuple[MediaInterface, ...]
    rtpengine: NgConfig | None = None  # None: the built-in relay
    # browser, softphone, node: one of engine.media.profiles.PROFILES
    profiles: Mapping[str, str] = field(default_factory=lambda: _EMPTY)  # those not named have their usual one
    force_codecs: tuple[str, ...] = ()  # only these are offered, and are added where an offer lacks them
    forbid_codecs: tuple[str, ...] = ()
    order_codecs: tuple[str, ...] = ()  # these first
    transcode: Literal["never", "needed", "always"] = "needed"
    # of the certificate for DTLS, as in a=fingerprint (RFC 8122); the host, which has the key, says it
    fingerprint: str = ""
    silent_s: float = 5.0  # a peer that should send and hasn't for so long is told of
    timeout_s: float = 3600.0  # ports of a call in which nobody has sent for so long are given back; 0: never


@dataclass(frozen=True, slots=True, kw_only=True)
class RescueConfig:
    """What becomes of calls whose node dies. Conversations between agents take a relay to go on."""

    enabled: bool = True
    # Calls that can't go on, to an application of the node as a rule. end: the agent is told BYE; hold: it is left
    # in silence, and may hang up in its own time; move: another node is called for it, with X-Siptwin-Rescued.
    others: Literal["end", "hold", "move"] = "end"
    otherwise: Literal["end", "hold"] = "end"  # of those that can't be moved
    moves_per_s: float = 20.0  # FreeSWITCH takes 30 calls a second by itself, and others call as well
    move_within_s: float = 60.0  # from the death to the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Bounds of everything that a stranger can make grow. At a bound the edge answers 503 with Retry-After."""

    message_bytes: int = 65_535
    header_lines: int = 256
    server_transactions: int = 200_000
    dialogs: int = 200_000
    stream_connections: int = 20_000
    bindings: int = 200_000
    retry_after_s: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """What outlives the process, and how surely."""

    database: str | None = None  # its name in the topology; None: nothing is kept
    # Of these kinds the answer that makes a promise waits until the store has it; others are written later.
    write_through: tuple[RecordKind, ...] = ("bindings", "nodes")
    delay_s: float = 0.2  # how long others may wait, so that many go in one transaction: what a kill -9 loses
    answer_wait_s: float = 0.5  # a store that takes longer is not waited for: calls come before records
    retry_max_s: float = 5.0  # a store that is away is tried again after 0.5 s, then twice as long, up to this
    queue_records: int = 500_000  # as many as an edge can have, and what is to be dropped beside


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Where operators' tools reach the edge over TCP: HTTP, with a token that the host finds where it is said."""

    host: str = "127.0.0.1"  # who opens it to a network puts TLS before it
    port: int = 8080
    token_env: str | None = None
    token_file: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """Where load balancers ask whether the edge takes new calls, without a token."""

    host: str
    http_port: int | None = None  # GET /health: 200 or 503
    tcp_port: int | None = None  # a connection is accepted, or refused while the edge drains


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecordsConfig:
    """Where a record of each call goes when it is over; nowhere where neither is named."""

    csv: str | None = None  # a file
    database: str | None = None  # its name in the topology


@dataclass(frozen=True, slots=True, kw_only=True)
class HomerConfig:
    """A collector of Homer, which is sent signalling as HEPv3 over UDP."""

    host: str
    port: int = 9060
    agent_id: int = 2001  # by which Homer tells its sources apart
    everything: bool = False  # all signalling; else what is asked for, of one call or user


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConfig:
    """Another edge, to which agents may move, and from which they may come."""

    name: str
    interfaces: tuple[Interface, ...]  # all that it has: dialogs may name any
    interface: str  # the one of these at which it is talked to
    by: str  # our interface that talks to it


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """Which policy routes, and its options (keyword arguments of its class).

    ``use`` is a stock policy's name (``least_loaded``), ``module:Class``, or ``path/to/file.py`` (with ``:Class``
    where the file holds several).
    """

    use: str = "least_loaded"
    options: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig:
    """Everything that one edge needs to know."""

    name: str
    interfaces: tuple[Interface, ...]
    nodes: tuple[NodeConfig, ...] = ()
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    timers: TimersConfig = field(default_factory=TimersConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    passive: PassiveConfig = field(default_factory=PassiveConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    registrar: RegistrarConfig = field(default_factory=RegistrarConfig)
    streams: StreamsConfig = field(default_factory=StreamsConfig)
    keep_alive: KeepAliveConfig = field(default_factory=KeepAliveConfig)
    relay: RelayConfig | None = None  # None: media go past this edge
    store: StoreConfig = field(default_factory=StoreConfig)
    peers: tuple[PeerConfig, ...] = ()  # they share the registrar's secret with this one
    rescue: RescueConfig = field(default_factory=RescueConfig)
    api: ApiConfig | None = None  # None: the control socket alone
    health: HealthConfig | None = None
    call_records: CallRecordsConfig = field(default_factory=CallRecordsConfig)
    homer: HomerConfig | None = None
    domains: tuple[str, ...] = ()  # names, besides the interfaces' addresses, that mean this edge
    # Session-Expires below it is raised for the nodes: FreeSWITCH wants 120, JsSIP asks for 90. 0: let alone.
    min_session_expires_s: int = 120
    dialog_lifetime_s: float = 43_200.0  # a dialog whose BYE was lost is forgotten after 12 hours

    @property
    def event_interfaces(self) -> tuple[Interface, ...]:
        """Where connections to event sockets leave from: beside each interface that may face a node.

        They are there before any node has an event socket, so that a running edge can take one over.
        """
        return tuple(
            Interface(name=_EVENTS + each.name, transport="tcp", host=each.host, port=0, listens=False)
            for each in self.interfaces
            if each.transport in ("udp", "tcp")
        )

    @property
    def host_interfaces(self) -> tuple[Interface, ...]:
        """All that a host opens: the interfaces of SIP, then those of event sockets and of rtpengines."""
        return self.interfaces + self.event_interfaces + self.relay_interfaces

    @property
    def relay_interfaces(self) -> tuple[Interface, ...]:
        """From where orders go to rtpengines: one for each transport that they are spoken to by."""
        ng = self.relay.rtpengine if self.relay is not None else None
        if ng is None:
            return ()
        host = ng.control_host or self.interfaces[0].host
        return tuple(
            Interface(
                name=RELAYS + transport,
                transport=transport,
                host=host,
                port=0,
                listens=transport == "udp",
                subprotocol=NG_SUBPROTOCOL,
            )
            for transport in ng.transports
        )

    def event_interface_of(self, node: NodeConfig) -> str:
        """By which of them this node's event socket is reached."""
        return _EVENTS + self._facing(node)

    def _facing(self, node: NodeConfig) -> str:
        fitting = (each.name for each in self.interfaces if each.transport == node.transport)
        return node.interface or next(fitting, "")


_EVENTS = "events:"  # no interface of a topology has a colon in its name
RELAYS = "relays:"
