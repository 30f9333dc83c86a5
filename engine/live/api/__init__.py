"""What operators and their tools talk to: HTTP with JSON, OpenSIPS' MI names, metrics, health."""

from __future__ import annotations

from engine.live.api.client import ApiClient
from engine.live.api.server import ApiServer

__all__ = ["ApiClient", "ApiServer"]
