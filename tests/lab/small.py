"""A small topology for experiments: two nodes, one of which freezes under a few calls."""

from __future__ import annotations

from topologies import Topology, parse

TEXT = """
name: small
edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}}}
nodes:
  FS1: {host: 127.0.1.1, resources: pstn=100}
  FS2: {host: 127.0.1.2, resources: pstn=100}
clients: {callers: {host: 127.0.2.1}}
scenarios:
  death:
    duration_s: 4
    traffic: [{from: callers, to: 9196, rate_per_s: 8, hold_s: 0.3}]
    faults: [{at_s: 1.5, kind: freeze, target: FS1}]
  quiet:
    duration_s: 4
    traffic: [{from: callers, to: 9196, rate_per_s: 8, hold_s: 0.3}]
"""


def topology() -> Topology:
    """Anew each time."""
    return parse(TEXT.encode(), "small")
