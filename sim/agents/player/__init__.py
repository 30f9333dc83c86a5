"""An agent that plays a part that was recorded: it sends what it sent then, where the story still allows it.

What the far side decides (tags, routes, targets, nonces) is taken from this world; what the agent said itself
(methods, headers, bodies, when, and in what order) is the recording's.
"""

from __future__ import annotations

from sim.agents.player.machine import Player
from sim.agents.player.script import Incoming, Outgoing, Said, Script

__all__ = ["Incoming", "Outgoing", "Player", "Said", "Script"]
