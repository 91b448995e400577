"""How alembic reaches the database: a connection that rowvec.db.schema hands over, or offline."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

VERSION_TABLE = "alembic_version"
SCHEMA = "rowvec"


def run_online(connection: Connection) -> None:
    """Upgrades in one transaction, in the schema that `migrate` has made and checked."""
    context.configure(
        connection=connection, version_table=VERSION_TABLE, version_table_schema=SCHEMA
    )
    with context.begin_transaction():
        context.run_migrations()


def run_offline() -> None:
    """Prints the SQL instead: `alembic upgrade head --sql`, for linters and for the careful."""
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        version_table=VERSION_TABLE,
        version_table_schema=SCHEMA,
    )
    with context.begin_transaction():
        context.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online(context.config.attributes["connection"])
