"""The modelled rtpengine: a machine that speaks the NG protocol and orders the same data plane as an edge."""

from __future__ import annotations

from sim.agents.rtpengine.config import RtpengineConfig, RtpengineInterface
from sim.agents.rtpengine.machine import Rtpengine

__all__ = ["Rtpengine", "RtpengineConfig", "RtpengineInterface"]
