"""Network address translators: pure machines, no clock and no network inside (RFC 4787, RFC 5382)."""

from __future__ import annotations

from sim.nat.machine import Dropped, Nat, Passed, Protocol, Segment, Verdict
from sim.nat.presets import PRESETS, Preset
from sim.nat.settings import Dependence, NatSettings

__all__ = [
    "PRESETS",
    "Dependence",
    "Dropped",
    "Nat",
    "NatSettings",
    "Passed",
    "Preset",
    "Protocol",
    "Segment",
    "Verdict",
]
