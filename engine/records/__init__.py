"""What outlives the process: told by the rooms as records, queued for a store, and restored at the next start."""

from __future__ import annotations

from engine.records.records import Records

__all__ = ["Records"]
