"""Signalling of a call or user, caught between host and machine: out of TLS, out of WebSocket frames."""

from __future__ import annotations

from engine.live.capture.hep import HomerSender
from engine.live.capture.tap import Capture, Packet, Tap, Wanted

__all__ = ["Capture", "HomerSender", "Packet", "Tap", "Wanted"]
