"""Call records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAME = sa.String(64)
_OCTETS = sa.LargeBinary(65_535)


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("edge", _NAME, nullable=False),
        sa.Column("call_id", _OCTETS, nullable=False),
        sa.Column("caller", _OCTETS, nullable=False),
        sa.Column("callee", _OCTETS, nullable=False),
        sa.Column("node", _NAME, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.Column("answered_at", sa.Double, nullable=True),
        sa.Column("ended_at", sa.Double, nullable=False, index=True),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("reason", _OCTETS, nullable=False),
        sa.Column("end", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("calls")
