"""The once-only half of the schema: alembic revisions."""
