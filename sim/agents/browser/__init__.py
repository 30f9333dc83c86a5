"""A browser's tab with JsSIP in it: SIP over one WebSocket (RFC 7118), opened again whenever it is lost.

The behaviour is JsSIP 3.13.8's, as its source has it; what Chromium adds - throttled timers, tabs that are closed
without a word - is beside it.
"""

from __future__ import annotations

from sim.agents.browser.config import BrowserConfig, Throttling
from sim.agents.browser.machine import Browser

__all__ = ["Browser", "BrowserConfig", "Throttling"]
