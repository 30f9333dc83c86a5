"""The product: a SIP edge as pure state machines, and (in ``engine.live``) its host on real sockets."""

from __future__ import annotations

__version__ = "0.1.0"
