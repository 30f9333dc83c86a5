"""Topologies: one YAML file that is simulated, rehearsed and served unchanged."""

from __future__ import annotations

from topologies.errors import Problem, TopologyError
from topologies.load import load, names, parse
from topologies.topology import Topology

__all__ = ["Problem", "Topology", "TopologyError", "load", "names", "parse"]
