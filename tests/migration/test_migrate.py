"""`migrate`: idempotent, safe twice at once, plain about what a superuser has to do first."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from rowvec.db import schema
from rowvec.db.queries import sql_file, sql_files
from rowvec.embedded.postgres import PostgresCluster
from rowvec.errors import DatabaseError, SchemaError
from support.postgres import Database


def test_second_run_changes_nothing(empty_database: Database) -> None:
    first = schema.migrate(empty_database.dsn)
    assert first.before is None
    assert first.after == schema.head()
    assert "functions/_call.sql" in first.applied

    second = schema.migrate(empty_database.dsn)
    assert second.before == second.after == first.after
    assert second.applied == []


def test_three_at_once_do_the_work_once(empty_database: Database) -> None:
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: schema.migrate(empty_database.dsn), range(3)))
    assert sorted(run.before is None for run in runs) == [False, False, True]
    assert sorted(bool(run.applied) for run in runs) == [False, False, True]


def test_functions_in_the_database_are_the_files(migrated_database: Database) -> None:
    with migrated_database.connect() as connection:
        recorded: dict[str, str] = dict(
            connection.execute(
                "SELECT path, sha256 FROM rowvec.sql_object WHERE path <> 'schema rowvec'"
            ).fetchall()
        )
        schemas = schema._extension_schemas(connection)
        version = connection.info.server_version
    files = {**sql_files("functions"), **sql_files("views"), "grants.sql": sql_file("grants.sql")}
    assert recorded == {
        path: hashlib.sha256(schema.render(text, schemas, version).encode()).hexdigest()
        for path, text in files.items()
    }


def test_no_placeholder_is_left(migrated_database: Database) -> None:
    with migrated_database.connect() as connection:
        left = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'rowvec'::regnamespace "
            "AND prosrc LIKE '%@extschema%'"
        ).fetchall()
    assert left == []


def test_a_bad_body_refuses_the_whole_set(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = "CREATE OR REPLACE FUNCTION rowvec.fine() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    bad = "CREATE OR REPLACE FUNCTION rowvec.broken() RETURNS int LANGUAGE sql AS 'SELECT nothing'"
    files = {"functions/a.sql": good, "functions/b.sql": bad}
    monkeypatch.setattr(schema, "sql_files", lambda f: files if f == "functions" else {})
    with pytest.raises(DatabaseError, match="nothing"):
        schema.migrate(empty_database.dsn)
    with empty_database.connect() as connection:
        found = connection.execute("SELECT to_regprocedure('rowvec.fine()')").fetchone()
    assert found == (None,)


def test_a_function_with_another_result_and_a_view_with_other_columns_are_replaced(
    migrated_database: Database,
) -> None:
    """As an earlier release may have left them."""
    with migrated_database.connect() as connection:
        connection.execute("DROP FUNCTION rowvec.polarity")
        connection.execute(
            "CREATE FUNCTION rowvec.polarity(old vector, names vector, here vector) RETURNS int"
            " LANGUAGE sql AS 'SELECT 1'"
        )
        connection.execute("DROP VIEW rowvec.progress")
        connection.execute("CREATE VIEW rowvec.progress AS SELECT 1 AS gone")
        connection.execute("UPDATE rowvec.sql_object SET sha256 = 'an earlier release'")
    schema.migrate(migrated_database.dsn)
    with migrated_database.connect() as connection:
        assert connection.execute("SELECT source, pending FROM rowvec.progress").fetchall() == []
        found = connection.execute(
            "SELECT proargnames[1] FROM pg_proc WHERE proname = 'polarity'"
            " AND pronamespace = 'rowvec'::regnamespace"
        ).fetchall()
        assert len(found) == 1
        assert found != [("old",)]


def test_a_view_that_the_user_built_on_ours_is_never_dropped(migrated_database: Database) -> None:
    with migrated_database.connect() as connection:
        connection.execute("DROP VIEW rowvec.progress")
        connection.execute("CREATE VIEW rowvec.progress AS SELECT 1 AS gone")
        connection.execute("CREATE VIEW mine AS SELECT gone FROM rowvec.progress")
        connection.execute("UPDATE rowvec.sql_object SET sha256 = 'an earlier release'")
    with pytest.raises(DatabaseError, match="other objects depend on it"):
        schema.migrate(migrated_database.dsn)
    with migrated_database.connect() as connection:
        assert connection.execute("SELECT gone FROM mine").fetchall() == [(1,)]


def test_an_unprepared_owner_is_told_what_is_missing(
    empty_database: Database, cluster: PostgresCluster
) -> None:
    with empty_database.connect() as connection:
        connection.execute("CREATE ROLE unprepared LOGIN")
        connection.execute(f'ALTER DATABASE "{empty_database.name}" OWNER TO unprepared')
    try:
        with pytest.raises(DatabaseError, match="superuser has to prepare") as caught:
            schema.migrate(cluster.dsn(empty_database.name, "unprepared"))
        assert "the extension vector" in str(caught.value)
        assert caught.value.hint is not None
        assert "--bootstrap-sql --owner unprepared" in caught.value.hint
    finally:
        with empty_database.connect() as connection:
            connection.execute(f'ALTER DATABASE "{empty_database.name}" OWNER TO postgres')
            connection.execute("DROP ROLE unprepared")


def test_bootstrap_quotes_the_owner() -> None:
    script = schema.bootstrap_sql("""o'brien "x" """.strip())
    assert """SET LOCAL rowvec.owner = 'o''brien "x"';""" in script
    assert "@owner" not in script


def test_a_dblink_that_everybody_may_call_is_refused(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        connection.execute("CREATE EXTENSION dblink")
    with pytest.raises(DatabaseError, match="every user may connect anywhere") as caught:
        schema.migrate(empty_database.dsn)
    assert caught.value.hint is not None
    with empty_database.connect() as connection:
        for statement in caught.value.hint.partition(": ")[2].split(";"):
            connection.execute(statement)
    assert schema.migrate(empty_database.dsn).after == schema.head()


def test_a_newer_database_is_refused(migrated_database: Database) -> None:
    with migrated_database.connect() as connection:
        connection.execute("UPDATE rowvec.alembic_version SET version_num = '9999'")
        with pytest.raises(SchemaError, match="9999"):
            schema.require_head(connection)
    with pytest.raises(SchemaError, match="does not know"):
        schema.migrate(migrated_database.dsn)


def test_a_database_without_rowvec_says_so(empty_database: Database) -> None:
    with (
        empty_database.connect() as connection,
        pytest.raises(SchemaError, match="not installed"),
    ):
        schema.require_head(connection)


def test_search_path_is_opt_in(migrated_database: Database) -> None:
    with migrated_database.connect() as connection, pytest.raises(psycopg.errors.UndefinedFunction):
        connection.execute("SELECT count_tokens('stand-in', 'x')")
    schema.migrate(migrated_database.dsn, search_path=True)
    with migrated_database.connect() as connection:
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public, rowvec',)


def test_offline_sql_has_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    from alembic import command  # noqa: PLC0415

    command.upgrade(schema._alembic_config(), "head", sql=True)
    assert "CREATE TABLE rowvec.embedding" in capsys.readouterr().out
