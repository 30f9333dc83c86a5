"""What the relay heard of each side of a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COLUMNS = ("caller_mos", "caller_loss", "callee_mos", "callee_loss")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("calls", sa.Column(name, sa.Double, nullable=True))


def downgrade() -> None:
    for name in reversed(_COLUMNS):
        op.drop_column("calls", name)
