"""What differs between two settings of an edge, and whether a running one can take it over."""

from __future__ import annotations

from dataclasses import replace

from engine.boundary import Interface
from engine.config import EdgeConfig, RelayConfig
from engine.media.ng.settings import NgConfig


def needs_restart(before: EdgeConfig, after: EdgeConfig) -> str:
    """What of new settings cannot be taken over by a running edge, in words; "" where all can."""
    for name in (
        "name",
        "timers",
        "domains",
        "dialog_lifetime_s",
        "store",
        "peers",
        "rescue",
        "api",
        "health",
        "call_records",
        "homer",
    ):
        if getattr(before, name) != getattr(after, name):
            return f"{name} changed, which takes a restart"
    if _but_servers(before.relay) != _but_servers(after.relay):
        return "relay changed, which takes a restart"
    if _addresses(before) != _addresses(after):
        return "interfaces changed, which takes a restart"
    if before.registrar.secret != after.registrar.secret:
        return "the registrar's secret changed, which takes a restart"
    return ""


def _addresses(config: EdgeConfig) -> tuple[Interface, ...]:
    """The interfaces without what the host takes over as it runs: certificates and origins."""
    return tuple(replace(each, tls=None, origins=()) for each in config.host_interfaces)


def _but_servers(relay: RelayConfig | None) -> RelayConfig | None:
    """A relay without what may change as it runs: which rtpengines there are, and how patient we are with them."""
    return replace(relay, rtpengine=NgConfig()) if relay is not None and relay.rtpengine is not None else relay


def changes(before: EdgeConfig, after: EdgeConfig) -> tuple[str, ...]:
    """What is changed, added and removed, in words."""
    old = {node.name: node for node in before.nodes}
    new = {node.name: node for node in after.nodes}
    found = [f"node {name} removed" for name in old if name not in new]
    found += [f"node {name} added" for name in new if name not in old]
    found += [f"node {name} changed" for name in new if name in old and old[name] != new[name]]
    found += [
        f"{name} changed"
        for name in ("policy", "probe", "passive", "limits", "registrar", "streams", "keep_alive", "relay")
        if getattr(before, name) != getattr(after, name)
    ]
    return tuple(found)
