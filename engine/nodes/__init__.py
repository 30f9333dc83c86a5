"""The pool of FreeSWITCH nodes: their states, their probes, their channels, and which one to choose."""

from __future__ import annotations

from engine.nodes.node import Node, NodeSnapshot
from engine.nodes.pool import Choice, Pool

__all__ = ["Choice", "Node", "NodeSnapshot", "Pool"]
