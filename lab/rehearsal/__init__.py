"""The rehearsal: a topology on real loopback sockets in real time, its peers modelled as in simulation.

The machines are made by `sim.build.parts`, as in simulation, and driven by `engine.live.LiveHost`, as in
production.
"""

from __future__ import annotations

from lab.rehearsal.run import rehearse, rehearse_topology

__all__ = ["rehearse", "rehearse_topology"]
