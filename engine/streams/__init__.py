"""The connections of an edge: their octets are cut into messages, and their lifetimes are decided here."""

from __future__ import annotations

from engine.streams.connection import Connection
from engine.streams.table import Streams

__all__ = ["Connection", "Streams"]
