"""Media in virtual time: who hears whom, from when on, and with which gaps.

Agents tell what they send and take (``sim.agents.media``), edges order rules (``engine.media.rules``); here
packets go by them through links, NATs and relays. Where nothing changes a *train* stands for all packets of a
stretch and travels at once; the packets around each change travel one by one, as events of their own. So a long
call costs a few dozen events, and a latching race is decided packet by packet.
"""

from __future__ import annotations

from sim.media.hearing import Heard
from sim.media.plane import MediaPlane

__all__ = ["Heard", "MediaPlane"]
