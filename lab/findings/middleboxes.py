"""NATs and balancers between agents and edges: what they forget, and whether somebody speaks in time."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from engine.config import EdgeConfig
from lab.findings.finding import Finding
from lab.findings.reading import callers_of, granted_s
from sim.balancer import BALANCERS
from sim.nat import PRESETS, NatSettings
from topologies import Topology
from topologies.clients import Client
from topologies.middleboxes import Nat


class Silence(NamedTuple):
    """The longest time in which nothing passes between an agent and its edge, and what ends it."""

    longest_s: float
    ended_by: str
    from_inside: bool  # whether the agent itself says something then


def middleboxes(topology: Topology, config: EdgeConfig) -> Iterator[Finding]:
    """Everything on the way that forgets an agent before somebody speaks again."""
    for name in sorted(callers_of(topology, config.name)):
        client = topology.clients[name]
        if not client.does_register:
            continue
        silence = longest_silence(topology, config, client)
        for nat in client.behind:
            yield from _nat(name, client, silence, nat, topology.nats[nat])
        if client.balancer is not None:
            yield from _balancer(topology, name, client, silence)


def longest_silence(topology: Topology, config: EdgeConfig, client: Client) -> Silence:
    """How long a registered agent's flow can be silent, and who speaks then."""
    refresh_s = 0.9 * granted_s(topology, config)  # as late as baresip; browsers are earlier
    if client.transport == "udp" and config.keep_alive.method != "none":
        keep_alive = config.keep_alive
        interval_s = keep_alive.interval_s * (1 + keep_alive.jitter)
        if interval_s < refresh_s:
            answered = keep_alive.method == "options"
            return Silence(interval_s, f"keep_alive: {keep_alive.method} of the edge", answered)
    if client.transport in ("ws", "wss") and 0 < config.streams.ping_interval_s < refresh_s:
        return Silence(config.streams.ping_interval_s, "pings of the edge", True)
    return Silence(refresh_s, "the next refresh of the registration", True)


def _nat(client_name: str, client: Client, silence: Silence, name: str, nat: Nat) -> Iterator[Finding]:
    preset = PRESETS[nat.preset]
    shortest_s = min(_forgets_after_s(_overridden(stage, nat), client, silence) for stage in preset.stages)
    drawn = preset.spread is not None and client.transport == "udp" and nat.replied_s is None
    if preset.spread is not None and drawn:
        share = _share_below(preset.spread.replied_s, silence.longest_s)
        if share > 0:
            what = (
                f"{share:.0%} of the devices of {name} ({nat.preset}) forget a silent agent within "
                f"{silence.longest_s:g} s, when {silence.ended_by} would come"
            )
            yield Finding("risk" if share < 0.05 else "breaks", client_name, what, _remedy(client))
        return
    if shortest_s <= silence.longest_s:
        what = (
            f"{name} ({nat.preset}) forgets a silent agent after {shortest_s:g} s, {silence.ended_by} may come "
            f"only after {silence.longest_s:g} s: calls in between do not arrive"
        )
        yield Finding("breaks", client_name, what, _remedy(client))


def _overridden(stage: NatSettings, nat: Nat) -> NatSettings:
    return dataclasses.replace(stage, **nat.overrides)


def _forgets_after_s(nat: NatSettings, client: Client, silence: Silence) -> float:
    if client.transport != "udp":
        return nat.tcp_established_s
    if not silence.from_inside and not nat.refresh_inbound:
        return 0.0  # what comes from outside alone keeps nothing open, however often (RFC 4787 REQ-6)
    # By Linux's rule the reply to a registration, a moment after it, does not count yet.
    return nat.replied_s if nat.stream_after_s is None else min(nat.replied_s, nat.unreplied_s)


def _share_below(quantiles: tuple[tuple[float, float], ...], value: float) -> float:
    """The share of devices whose time-out is not above ``value`` seconds."""
    values = [each for _, each in quantiles]
    index = bisect_right(values, value)
    if index == 0:
        return 0.0
    if index == len(values):
        return 1.0
    (below, low), (above, high) = quantiles[index - 1], quantiles[index]
    return below + (above - below) * (value - low) / (high - low)


def _balancer(topology: Topology, client_name: str, client: Client, silence: Silence) -> Iterator[Finding]:
    name = client.balancer or ""
    section = topology.balancers[name]
    settings = dataclasses.replace(BALANCERS[section.preset].settings, **section.overrides)
    idle_s = settings.udp_idle_s if client.transport == "udp" else settings.tcp_idle_s
    if idle_s <= silence.longest_s:
        what = (
            f"{name} ({section.preset}) ends what is silent for {idle_s:g} s, {silence.ended_by} may come "
            f"only after {silence.longest_s:g} s"
        )
        yield Finding("breaks", client_name, what, _remedy(client))


def _remedy(client: Client) -> str:
    if client.transport == "udp":
        return "lower keep_alive: interval_s of the edge, or set keep_alive: method: options"
    if client.transport in ("ws", "wss"):
        return "lower streams: ping_interval_s of the edge"
    return "lower registrar: agent_max_expires_s of the edge, so that refreshes come in time"
