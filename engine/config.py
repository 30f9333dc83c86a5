"""Settings of the edge: frozen, typed, complete. ``topologies`` reads them from YAML; tests build them directly.

Defaults follow the RFC where one rules; other defaults say why beside them. All durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from engine.boundary import Interface, Transport

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
    """OPTIONS probes of the nodes (S15)."""

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
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Bounds of everything that a stranger can make grow. At a bound the edge answers 503 with Retry-After."""

    message_bytes: int = 65_535
    header_lines: int = 256
    server_transactions: int = 200_000
    dialogs: int = 200_000
    stream_connections: int = 10_000
    retry_after_s: int = 5


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
    domains: tuple[str, ...] = ()  # names, besides the interfaces' addresses, that mean this edge
    dialog_lifetime_s: float = 43_200.0  # a dialog whose BYE was lost is forgotten after 12 hours
