"""Whether agents will hear each other, and whether the relay's ports suffice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.config import EdgeConfig, RelayConfig
from engine.media.ports import REST_S
from lab.findings.capacity import mean_s, offered_erlangs
from lab.findings.finding import Finding
from lab.findings.reading import callers_of
from topologies import Topology
from topologies.scenarios import Scenario

_WEB = ("ws", "wss")
_KERNEL = Path("/proc/sys/net/ipv4")


def silence(topology: Topology, config: EdgeConfig) -> Iterator[Finding]:
    """Browsers whose calls nobody translates."""
    if config.relay is not None:
        return
    browsers = [
        name
        for name, client in topology.clients.items()
        if client.kind == "browser" and not client.nodes and topology.entry(name)[0] == config.name
    ]
    plain = [name for name in topology.served(config.name) if not topology.nodes[name].model.media_webrtc]
    if browsers and plain:
        what = (
            f"{', '.join(browsers)} will be offered plain RTP by {', '.join(plain)}: 603 Failed to get local SDP"
        )
        yield Finding("risk", config.name, what, "write relay: builtin, or have the nodes set media_webrtc=true")


def ephemeral(config: EdgeConfig) -> Iterator[Finding]:
    """Media ports that this machine also gives to whoever asks for any port: each such pair is passed over."""
    if config.relay is None or config.relay.rtpengine is not None:
        return
    first, last, reserved = kernel_ports()
    for each in config.relay.interfaces:
        low, high = max(each.low, first), min(each.high, last)
        if low <= high and not all(port in reserved for port in range(low, high + 1)):
            what = (
                f"media ports {each.low}-{each.high} of {each.name}: the kernel gives {low}-{high} to others, "
                "and what they have calls go without"
            )
            remedy = f"reserve them: sysctl -w net.ipv4.ip_local_reserved_ports={each.low}-{each.high}"
            yield Finding("risk", config.name, what, remedy)


def kernel_ports() -> tuple[int, int, frozenset[int]]:
    """The first and last port that this machine's kernel gives to who asks for any, and what it keeps back.

    Returns
    -------
    tuple of int, int and frozenset of int
        An empty range where the kernel isn't Linux.
    """
    try:
        first, last = map(int, (_KERNEL / "ip_local_port_range").read_text().split())
        kept = (_KERNEL / "ip_local_reserved_ports").read_text().strip()
    except (OSError, ValueError):
        return 1, 0, frozenset()
    ranges = [each.partition("-") for each in kept.split(",") if each]
    return (
        first,
        last,
        frozenset(port for low, _, high in ranges for port in range(int(low), int(high or low) + 1)),
    )


def ports(topology: Topology, name: str, scenario: Scenario) -> Iterator[Finding]:
    """Relayed calls of a scenario that find no ports."""
    for edge_name in topology.edges:
        config = topology.edge_config(edge_name)
        if config.relay is None or not config.relay.interfaces:
            continue
        callers = callers_of(topology, edge_name)
        erlangs = offered_erlangs(scenario, callers)
        # A pair that was given back rests; what ends, at the rate of what begins, is therefore still away.
        resting = sum(
            max((rate for _, rate in each.profile), default=each.rate_per_s or 0.0) * REST_S
            for each in scenario.traffic
            if each.source in callers and mean_s(each.hold_s) > 0.0
        )
        for place, pairs in _pairs_of_call(topology, config, config.relay).items():
            media = next(each for each in config.relay.interfaces if each.name == place)
            there = (media.high + 1 - media.low - media.low % 2) // 2
            needed = (erlangs + resting) * pairs
            if needed > there:
                what = f"media ports of {place}: {there} pairs, {needed:.0f} needed at the busiest moment, so 503"
                yield Finding("breaks", f"scenario {name}", what, f"widen ports: of {edge_name}'s {place}")


def _pairs_of_call(topology: Topology, config: EdgeConfig, relay: RelayConfig) -> Counter[str]:
    """How many pairs a call takes at each address of the relay: one towards its caller, one towards its node."""
    serving = {name: each.name for each in reversed(relay.interfaces) for name in each.serves}
    first = relay.interfaces[0].name
    found: Counter[str] = Counter()
    clients = [name for name, client in topology.clients.items() if client.lone and not client.nodes]
    entries = {topology.entry(name)[1].name for name in clients if topology.entry(name)[0] == config.name}
    for name in sorted(entries)[:1]:
        found[serving.get(name, first)] += 1
    for node in config.nodes[:1]:
        inside = topology.interface(config.name, node.transport, node.interface).name
        found[serving.get(inside, first)] += 1
    return found
