"""The schemas of functions by which jobs reach tables, and by which indexes read rows."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    "CREATE SCHEMA rowvec_jobs",
    """
    COMMENT ON SCHEMA rowvec_jobs
    IS 'rowvec: what jobs do to a table, as its owner. Nobody else may look in here'
    """,
    # What jobs agree about stands in rows: anybody who can connect may take an advisory lock.
    """
    CREATE TABLE rowvec.frontier (
        embedding_id bigint PRIMARY KEY REFERENCES rowvec.embedding ON DELETE CASCADE
    )
    """,
    "COMMENT ON TABLE rowvec.frontier IS 'Locked by whoever cuts or clears shards'",
    """
    CREATE TABLE rowvec.sync (
        session uuid PRIMARY KEY,
        pid int NOT NULL,
        candidate_for bigint[] NOT NULL,
        keeps bigint[] NOT NULL,
        seen_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "COMMENT ON TABLE rowvec.sync IS 'Each sync: what it would keep filled, and what it keeps'",
    "CREATE SCHEMA rowvec_inputs",
    """
    COMMENT ON SCHEMA rowvec_inputs
    IS 'rowvec: what indexes of tables evaluate, with the rights of whoever writes a row'
    """,
    # Within an index a function runs without it; a search names it.
    "GRANT USAGE ON SCHEMA rowvec_inputs TO PUBLIC",
    # Both have other arguments now.
    "DROP FUNCTION IF EXISTS rowvec._backfill_read(rowvec.embedding, jsonb, int)",
    """
    DROP FUNCTION IF EXISTS
        rowvec._backfill_write(rowvec.embedding, jsonb[], text[], bigint[], boolean[])
    """,
)


def upgrade() -> None:
    """Makes the schemas; one that is there already is somebody else's, and refused."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Jobs of the release before need nothing of it, so nothing has to go."""
