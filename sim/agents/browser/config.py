"""Settings of a browser with JsSIP. All durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sim.agents.phones import PhonesConfig

Throttling: TypeAlias = Literal["none", "hidden", "intensive"]
"""What a tab's timers suffer: see ``sim.agents.browser.throttle``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserConfig:
    """One user's browser. ``phones`` has one user, on a WebSocket interface that only connects."""

    phones: PhonesConfig
    reconnects: bool = True  # False: a lost connection stays lost (SIP.js, unless its page sees to it)
    reconnect_min_s: float = 2.0  # JsSIP's connection_recovery_min_interval
    reconnect_max_s: float = 30.0  # and connection_recovery_max_interval
    # Of the granted expiry. None: as JsSIP does since 3.5.7, at random between its half and 32 s before its end.
    refresh_share: float | None = None
    retry_s: float | None = None  # after a refused registration; None: JsSIP leaves that to the page
    throttling: Throttling = "none"
