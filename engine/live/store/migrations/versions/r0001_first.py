"""Bindings, dialogs, nodes, secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME = sa.String(64)
_DIGEST = sa.String(32)
_OCTETS = sa.LargeBinary(65_535)


def upgrade() -> None:
    op.create_table(
        "bindings",
        sa.Column("id", _DIGEST, primary_key=True),
        sa.Column("edge", _NAME, nullable=False, index=True),
        sa.Column("aor", _OCTETS, nullable=False),
        sa.Column("contact", _OCTETS, nullable=False),
        sa.Column("interface", _NAME, nullable=False),
        sa.Column("host", _NAME, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("stream", sa.Integer, nullable=False),
        sa.Column("call_digest", _DIGEST, nullable=False),
        sa.Column("cseq", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("granted_until", sa.Double, nullable=False),
        sa.Column("node", _NAME, nullable=False),
        sa.Column("nat_signs", sa.Integer, nullable=False),
        sa.Column("stale", sa.Integer, nullable=False),
    )
    op.create_table(
        "dialogs",
        sa.Column("id", _DIGEST, primary_key=True),
        sa.Column("edge", _NAME, nullable=False, index=True),
        sa.Column("call_id", _OCTETS, nullable=False),
        sa.Column("callee_tag", _OCTETS, nullable=False),
        sa.Column("node", _NAME, nullable=False),
        sa.Column("resource", _NAME, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
    )
    op.create_table(
        "nodes",
        sa.Column("id", _DIGEST, primary_key=True),
        sa.Column("edge", _NAME, nullable=False, index=True),
        sa.Column("node", _NAME, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("value", sa.String(128), nullable=False),
    )


def downgrade() -> None:
    for name in ("secrets", "nodes", "dialogs", "bindings"):
        op.drop_table(name)
