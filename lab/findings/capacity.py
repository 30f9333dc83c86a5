"""Do the channels suffice for the calls that a scenario offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.policy import Policy
from lab.capacity import erlang_b
from lab.findings.finding import Finding
from lab.findings.reading import callers_of, candidates
from topologies import Topology
from topologies.scenarios import Scenario, Spread

BLOCKING_MAX = 0.01
"""More blocked calls than that, by Erlang's B formula, and callers notice."""

_UNBOUNDED = 1_000_000  # channels of a node that names no bound


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


def capacity(
    topology: Topology, name: str, scenario: Scenario, policies: Mapping[str, Policy]
) -> Iterator[Finding]:
    for edge_name, policy in policies.items():
        channels = sorted(_channels(topology, edge_name, policy))
        erlangs = offered_erlangs(scenario, callers_of(topology, edge_name))
        if not channels or not erlangs:
            continue
        where = f"scenario {name}"
        blocked = erlang_b(erlangs, sum(channels))
        if blocked > BLOCKING_MAX:
            what = f"{erlangs:.0f} Erlang offered to {sum(channels)} channels: {blocked:.0%} of calls are refused"
            yield Finding("breaks", where, what, "add nodes or channels")
        elif len(channels) > 1 and (blocked := erlang_b(erlangs, sum(channels[:-1]))) > BLOCKING_MAX:
            what = (
                f"without the largest node {erlangs:.0f} Erlang meet {sum(channels[:-1])} channels: "
                f"{blocked:.0%} of calls are refused"
            )
            yield Finding("risk", where, what, "add a node, so that one may be missed")


def _channels(topology: Topology, edge_name: str, policy: Policy) -> Iterator[int]:
    """Calls that each node can carry, by its resources and by its model's own bound."""
    resource = getattr(policy, "resource", "")
    for node in candidates(topology.edge_config(edge_name), policy):
        counted = node.resources.get(resource, 0 if node.lacks(resource) else _UNBOUNDED)
        yield min(counted, topology.nodes[node.name].model.max_sessions)
