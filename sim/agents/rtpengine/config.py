"""Settings of a modelled rtpengine. All durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from engine.boundary import Interface
from engine.media.sdp.attributes import Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpengineInterface:
    """One of its logical interfaces (``--interface=NAME/IP``), and the ports that it takes there."""

    name: str
    host: str
    low: int = 30_000
    high: int = 39_999


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpengineConfig:
    """One rtpengine. ``control`` is where it takes NG orders (``--listen-ng``, ``--listen-tcp-ng``)."""

    name: str
    control: tuple[Interface, ...]
    interfaces: tuple[RtpengineInterface, ...]
    fingerprint: Fingerprint | None = None  # of its certificate; None: one of its own making
    max_sessions: int | None = None  # more calls at once are refused (--max-sessions)
    cookies_s: float = 30.0  # an answer is given again for so long, where the cookie comes again
