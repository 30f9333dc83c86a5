"""Nodes and their policy: can it choose, how long does it wait, when does it notice a death?"""

from __future__ import annotations

from collections.abc import Iterator

from engine.config import EdgeConfig
from engine.policy import Policy
from lab.findings.capacity import mean_s
from lab.findings.finding import Finding
from lab.findings.reading import callers_of, candidates
from topologies import Topology


def detection_s(config: EdgeConfig) -> float:
    """How long, at most, until probes alone take a dead node out."""
    probe = config.probe
    return probe.interval_s * (1 + probe.jitter) * probe.leave_after + probe.timeout_s


def nodes(config: EdgeConfig, policy: Policy) -> Iterator[Finding]:
    """Is there a node to choose, and a second one?"""
    resource = getattr(policy, "resource", "")
    meant = candidates(config, policy)
    if not meant:
        groups = ", ".join(dict.fromkeys(group for node in config.nodes for group in node.groups)) or "none"
        what = f"the policy chooses from group {policy.group!r}, in which {config.name} serves no enabled node"
        yield Finding("breaks", config.name, what, f"give nodes that group, or the policy another (has: {groups})")
        return
    lacking = [node.name for node in meant if node.lacks(resource)]
    if lacking:
        what = f"the policy takes a channel of {resource!r}, which {', '.join(lacking)} does not have"
        remedy = f"add {resource} to resources:, or name another resource in the policy's options"
        yield Finding("breaks" if len(lacking) == len(meant) else "risk", config.name, what, remedy)
    if len(meant) == 1:
        what = f"{meant[0].name} is the only node of group {policy.group!r}: there is nothing to fail over to"
        yield Finding("risk", config.name, what, "add a second node")


def waits(topology: Topology, config: EdgeConfig, policy: Policy) -> Iterator[Finding]:
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


def detection(config: EdgeConfig, policy: Policy) -> Iterator[Finding]:
    """When is a dead node found out, and is it passed over then?"""
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


def moves(config: EdgeConfig) -> Iterator[Finding]:
    """Can all calls to applications of a node that dies be moved in time?"""
    rescue = config.rescue
    if not rescue.enabled or rescue.others != "move":
        return
    most = int(rescue.moves_per_s * rescue.move_within_s)
    above = {node.name: sum(node.resources.values()) for node in config.nodes}
    name = max(above, key=lambda name: above[name], default="")
    if name and above[name] > most:
        fate = "end" if rescue.otherwise == "end" else "are left in silence"
        what = (
            f"at most {most:,} calls to applications are moved when a node dies (moves_per_s x move_within_s), "
            f"and {name} takes up to {above[name]:,}: the others {fate}"
        )
        yield Finding("risk", config.name, what, "raise either in rescue:, as far as the other nodes can follow")
