"""Who speaks with whom in calls that stand, and the two dialogs of each rescued conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PARTIES = ("caller", "callee")
_OCTETS = sa.LargeBinary(65_535)


def upgrade() -> None:
    for name in _PARTIES:
        op.add_column("dialogs", sa.Column(name, sa.String(255), nullable=False, server_default=""))
    op.create_table(
        "rescues",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("edge", sa.String(64), nullable=False, index=True),
        sa.Column("call_id", _OCTETS, nullable=False),
        sa.Column("callee_tag", _OCTETS, nullable=False),
        sa.Column("pair", _OCTETS, nullable=False),
        sa.Column("half", _OCTETS, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("rescues")
    for name in reversed(_PARTIES):
        op.drop_column("dialogs", name)
