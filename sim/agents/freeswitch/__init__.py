"""A modelled FreeSWITCH, true to recordings of a real one: registrar, B2BUA, dialplan, and its ways of failing.

What it leaves out is listed where it is compared with them, in ``tests/sim/agents/test_freeswitch_replay.py``.
"""

from __future__ import annotations

from sim.agents.freeswitch.config import FreeSwitchConfig, Outcome
from sim.agents.freeswitch.machine import FreeSwitch
from sim.agents.freeswitch.registrations import Registrations

__all__ = ["FreeSwitch", "FreeSwitchConfig", "Outcome", "Registrations"]
