"""FreeSWITCH's event sockets: each node's own view of its load, and of which legs make one call."""

from __future__ import annotations

from engine.events.calls import Leg, NodeCalls
from engine.events.watch import NodeEvents

__all__ = ["Leg", "NodeCalls", "NodeEvents"]
