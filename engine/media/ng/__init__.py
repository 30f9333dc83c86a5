"""rtpengine as the relay: its NG protocol, and the pool of them. The decisions are those of the built-in relay."""

from __future__ import annotations
