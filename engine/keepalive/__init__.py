"""What keeps the NAT bindings of registered UDP agents open, and notices when an agent is gone."""

from __future__ import annotations

from engine.keepalive.keepalive import KEEP_ALIVE_BRANCH, KeepAlive, Reachable

__all__ = ["KEEP_ALIVE_BRANCH", "KeepAlive", "Reachable"]
