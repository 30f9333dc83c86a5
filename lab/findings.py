"""What can be said of a deployment before it runs: what will break, what may, with numbers and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.config import EdgeConfig, NodeConfig
from engine.policy import Policy
from topologies import Topology
from topologies.scenarios import Scenario, Spread

Severity: TypeAlias = Literal["breaks", "risk"]

BLOCKING_MAX = 0.01
"""More blocked calls than that, by Erlang's B formula, and callers notice."""

_UNBOUNDED = 1_000_000  # channels of a node that names no bound


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that will break, or may."""

    severity: Severity
    where: str
    what: str
    remedy: str


def find(topology: Topology, policies: Mapping[str, Policy]) -> list[Finding]:
    """Everything that can be said now, worst first.

    Parameters
    ----------
    topology : Topology
        What is to be run.
    policies : mapping of str to Policy
        The loaded policy of each edge.
    """
    found: list[Finding] = []
    if len(topology.edges) == 1:
        only = next(iter(topology.edges))
        what = f"{only} is the only edge: while it is away no call can be made"
        found.append(Finding("risk", only, what, "add a second edge, and let phones know both"))
    for name, policy in policies.items():
        config = topology.edge_config(name)
        found += [*_nodes(config, policy), *_waits(topology, config, policy), *_detection(config, policy)]
    for name, scenario in topology.scenarios.items():
        found += _capacity(topology, name, scenario, policies)
    return sorted(found, key=lambda finding: finding.severity != "breaks")


def candidates(config: EdgeConfig, policy: Policy) -> list[NodeConfig]:
    """The nodes that a policy chooses from."""
    return [node for node in config.nodes if policy.group in node.groups and node.enabled]


def detection_s(config: EdgeConfig) -> float:
    """How long, at most, until probes alone take a dead node out."""
    probe = config.probe
    return probe.interval_s * (1 + probe.jitter) * probe.leave_after + probe.timeout_s


def offered_erlangs(scenario: Scenario, sources: frozenset[str]) -> float:
    """Calls that stand at once on average, at the busiest moment: calls per second times mean hold time."""
    return sum(
        max((rate for _, rate in traffic.profile), default=traffic.rate_per_s or 0.0) * mean_s(traffic.hold_s)
        for traffic in scenario.traffic
        if traffic.source in sources
    )


def mean_s(spread: Spread) -> float:
    """The mean of a duration, in seconds."""
    if spread.distribution == "uniform":
        return ((spread.low or 0.0) + (spread.high or 0.0)) / 2
    return spread.mean or 0.0


def blocked_share(erlangs: float, channels: int) -> float:
    """Erlang's B formula: the share of calls that find all channels taken.

    Examples
    --------
    >>> round(blocked_share(10, 10), 3)
    0.215
    """
    share = 1.0
    for channel in range(1, channels + 1):
        share = erlangs * share / (channel + erlangs * share)
        if share < 1e-12:
            return 0.0
    return share


def _nodes(config: EdgeConfig, policy: Policy) -> Iterator[Finding]:
    resource = getattr(policy, "resource", "")
    meant = candidates(config, policy)
    if not meant:
        groups = ", ".join(dict.fromkeys(group for node in config.nodes for group in node.groups)) or "none"
        what = f"the policy chooses from group {policy.group!r}, in which {config.name} serves no enabled node"
        yield Finding("breaks", config.name, what, f"give nodes that group, or the policy another (has: {groups})")
        return
    lacking = [node.name for node in meant if resource and node.resources and resource not in node.resources]
    if lacking:
        what = f"the policy takes a channel of {resource!r}, which {', '.join(lacking)} does not have"
        remedy = f"add {resource} to resources:, or name another resource in the policy's options"
        yield Finding("breaks" if len(lacking) == len(meant) else "risk", config.name, what, remedy)
    if len(meant) == 1:
        what = f"{meant[0].name} is the only node of group {policy.group!r}: there is nothing to fail over to"
        yield Finding("risk", config.name, what, "add a second node")


def _waits(topology: Topology, config: EdgeConfig, policy: Policy) -> Iterator[Finding]:
    """Do callers wait as long as the policy does?"""
    timeout_s = attempt_timeout_s(policy)
    nodes = len(candidates(config, policy))
    if timeout_s is None or not nodes:
        return
    patience_s, whose = shortest_patience(topology, config.name)
    if timeout_s >= patience_s:
        what = f"one silent node costs {timeout_s:g} s, the callers of {whose} wait {patience_s:g} s"
        yield Finding("breaks", config.name, what, "lower the policy's time-out")
    elif timeout_s * (nodes - 1) >= patience_s:
        what = (
            f"with all nodes but one silent a call takes {nodes - 1} x {timeout_s:g} s to reach the last, "
            f"the callers of {whose} wait {patience_s:g} s"
        )
        yield Finding("risk", config.name, what, "lower the policy's time-out")
    if timeout_s <= config.timers.t1_s:
        what = (
            f"the time-out of {timeout_s:g} s ends before the first retransmission (T1 = {config.timers.t1_s:g} s)"
        )
        yield Finding("risk", config.name, f"{what}: each lost packet costs an attempt", "raise it above T1")


def attempt_timeout_s(policy: Policy) -> float | None:
    """How long a stock policy waits for a node's first answer; None where it cannot be known."""
    for name in ("timeout_s", "fr_timer_s"):
        value = getattr(policy, name, None)
        if isinstance(value, (int, float)):
            return float(value)
    return None


def shortest_patience(topology: Topology, edge_name: str) -> tuple[float, str]:
    """The shortest mean patience of an edge's callers in seconds, and the scenario; SIP's own 32 s at most."""
    sources = callers_of(topology, edge_name)
    waits = [
        (mean_s(traffic.patience_s), f"scenario {name}")
        for name, scenario in topology.scenarios.items()
        for traffic in scenario.traffic
        if traffic.source in sources
    ]
    return min([*waits, (32.0, "any phone (timer B)")])


def callers_of(topology: Topology, edge_name: str) -> frozenset[str]:
    """The clients that talk to an edge."""
    return frozenset(name for name in topology.clients if topology.entry(name)[0] == edge_name)


def _detection(config: EdgeConfig, policy: Policy) -> Iterator[Finding]:
    if not candidates(config, policy):
        return
    if config.probe.mode != "always":
        what = f"probe mode {config.probe.mode}: a node that dies while nobody calls is found out by the next call"
        yield Finding("risk", config.name, what, "set probe mode: always")
    elif not config.passive.believe_icmp and detection_s(config) > 2 * config.timers.t1_s * 64:
        what = f"a dead node is found out by probes after up to {detection_s(config):.1f} s"
        yield Finding("risk", config.name, what, "lower probe interval_s or leave_after")
    if not policy.honours_health:
        what = "the policy sends calls to nodes that are known to be down"
        yield Finding("risk", config.name, what, "use least_loaded, unless that is what you want to see")


def _capacity(
    topology: Topology, name: str, scenario: Scenario, policies: Mapping[str, Policy]
) -> Iterator[Finding]:
    for edge_name, policy in policies.items():
        channels = sorted(_channels(topology, edge_name, policy))
        erlangs = offered_erlangs(scenario, callers_of(topology, edge_name))
        if not channels or not erlangs:
            continue
        where = f"scenario {name}"
        blocked = blocked_share(erlangs, sum(channels))
        if blocked > BLOCKING_MAX:
            what = f"{erlangs:.0f} Erlang offered to {sum(channels)} channels: {blocked:.0%} of calls are refused"
            yield Finding("breaks", where, what, "add nodes or channels")
        elif len(channels) > 1 and (blocked := blocked_share(erlangs, sum(channels[:-1]))) > BLOCKING_MAX:
            what = (
                f"without the largest node {erlangs:.0f} Erlang meet {sum(channels[:-1])} channels: "
                f"{blocked:.0%} of calls are refused"
            )
            yield Finding("risk", where, what, "add a node, so that one may be missed")


def _channels(topology: Topology, edge_name: str, policy: Policy) -> Iterator[int]:
    """Calls that each node can carry, by its resources and by its model's own bound."""
    resource = getattr(policy, "resource", "")
    for node in candidates(topology.edge_config(edge_name), policy):
        counted = node.resources.get(resource, 0 if node.resources and resource else _UNBOUNDED)
        yield min(counted, topology.nodes[node.name].model.max_sessions)
