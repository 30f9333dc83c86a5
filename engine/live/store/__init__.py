"""The store of the real host: records in a database, written in a thread (SQLAlchemy, Alembic)."""

from __future__ import annotations

from engine.live.store.database import Database
from engine.live.store.store import Store

__all__ = ["Database", "Store"]
