"""${message}."""

from __future__ import annotations

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """What changes, and why."""
    op.execute("""""")


def downgrade() -> None:
    """Only where nothing is lost."""
    raise NotImplementedError("restore a backup, or write a migration that goes forward")
