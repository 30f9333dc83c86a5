"""The tables of a store.

What comes from the wire is kept as octets: it may hold anything, and no collation of a database may take two users
for one. Keys that may be long have a digest in their place. Times are seconds since 1970.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, String, Table

METADATA = MetaData()
VERSION_TABLE = "siptwin_schema"
"""Where Alembic notes the schema's version: beside the tables of others, perhaps."""

_NAME = String(64)  # as long as the topology's names are
_DIGEST = String(32)  # hexadecimal


def _octets(name: str) -> Column[Any]:
    return Column(name, LargeBinary(65_535), nullable=False)


BINDINGS = Table(
    "bindings",
    METADATA,
    Column("id", _DIGEST, primary_key=True),
    Column("edge", _NAME, nullable=False, index=True),
    _octets("aor"),
    _octets("contact"),
    Column("interface", _NAME, nullable=False),
    Column("host", _NAME, nullable=False),
    Column("port", Integer, nullable=False),
    Column("stream", Integer, nullable=False),
    Column("call_digest", _DIGEST, nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("granted_until", Double, nullable=False),
    Column("node", _NAME, nullable=False),
    Column("nat_signs", Integer, nullable=False),
    Column("stale", Integer, nullable=False),
)

DIALOGS = Table(
    "dialogs",
    METADATA,
    Column("id", _DIGEST, primary_key=True),
    Column("edge", _NAME, nullable=False, index=True),
    _octets("call_id"),
    _octets("callee_tag"),
    Column("node", _NAME, nullable=False),
    Column("resource", _NAME, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("caller", String(255), nullable=False, server_default=""),
    Column("callee", String(255), nullable=False, server_default=""),
)

RESCUES = Table(
    "rescues",
    METADATA,
    Column("id", _DIGEST, primary_key=True),
    Column("edge", _NAME, nullable=False, index=True),
    _octets("call_id"),
    _octets("callee_tag"),
    _octets("pair"),
    _octets("half"),
    Column("began_at", Double, nullable=False),
)

NODES = Table(
    "nodes",
    METADATA,
    Column("id", _DIGEST, primary_key=True),
    Column("edge", _NAME, nullable=False, index=True),
    Column("node", _NAME, nullable=False),
    Column("state", String(16), nullable=False),
)

SECRETS = Table(
    "secrets",
    METADATA,
    Column("name", _NAME, primary_key=True),
    Column("value", String(128), nullable=False),
)
"""What all lives of the edges must share, such as the key of the flow tokens."""

CALLS = Table(
    "calls",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("edge", _NAME, nullable=False),
    _octets("call_id"),
    _octets("caller"),
    _octets("callee"),
    Column("node", _NAME, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("answered_at", Double, nullable=True),
    Column("ended_at", Double, nullable=False, index=True),
    Column("duration_s", Double, nullable=False),
    Column("status", Integer, nullable=False),
    _octets("reason"),
    Column("end", String(64), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("caller_mos", Double, nullable=True),
    Column("caller_loss", Double, nullable=True),
    Column("callee_mos", Double, nullable=True),
    Column("callee_loss", Double, nullable=True),
)
"""Call records (``engine.live.records``): written once, and never read here."""

RECORD_TABLES = (BINDINGS, DIALOGS, NODES)
