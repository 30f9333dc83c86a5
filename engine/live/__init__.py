"""The real host: drives any ``engine.boundary.Machine`` on real sockets. Linux; for the lab and tests alone."""

from __future__ import annotations

from engine.live.errors import LiveError
from engine.live.host import LiveHost
from engine.live.loops import run
from engine.live.settings import LiveSettings

__all__ = ["LiveError", "LiveHost", "LiveSettings", "run"]
