"""Alembic's way in: ``engine.live.store.schema`` gives it the connection."""

from __future__ import annotations

from alembic import context

from engine.live.store.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
