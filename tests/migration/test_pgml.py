"""PostgresML's schema: installed on request, kept current from then on, no one else's touched."""

from __future__ import annotations

import psycopg
import pytest

from rowvec.db import queries, schema
from rowvec.db.uninstall import plan, uninstall
from rowvec.errors import DatabaseError
from support.postgres import Database

EMPTY = "'{}'::jsonb"
OPTIONAL = 'subset text DEFAULT NULL::text, "limit" bigint DEFAULT NULL::bigint'

SIGNATURES = """
SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
FROM pg_proc AS p WHERE pronamespace = 'pgml'::regnamespace ORDER BY 1, 2
"""


def test_names_arguments_and_types_are_those_of_postgresml(empty_database: Database) -> None:
    """As its extension declares them (pgml 2.9 and later)."""
    schema.migrate(empty_database.dsn, with_pgml=True)
    with empty_database.connect() as conn:
        assert conn.execute(SIGNATURES).fetchall() == [
            ("chunk", "splitter text, text text, kwargs jsonb DEFAULT '{}'::jsonb",
             "TABLE(chunk_index bigint, chunk text)"),
            ("embed", "transformer text, inputs text[], kwargs jsonb DEFAULT '{}'::jsonb",
             "SETOF real[]"),
            ("embed", "transformer text, text text, kwargs jsonb DEFAULT '{}'::jsonb", "real[]"),
            ("load_dataset",
             f"source text, {OPTIONAL}, kwargs jsonb DEFAULT {EMPTY}",
             "TABLE(table_name text, rows bigint)"),
            ("rank",
             f"transformer text, query text, documents text[], kwargs jsonb DEFAULT {EMPTY}",
             "TABLE(corpus_id bigint, score double precision, text text)"),
        ]  # fmt: skip


def test_only_on_request_and_then_for_good(
    migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def there() -> bool:
        with migrated_database.connect() as conn:
            row = conn.execute("SELECT to_regnamespace('pgml') IS NOT NULL").fetchone()
        return row == (True,)

    schema.migrate(migrated_database.dsn)
    assert not there()
    assert "pgml/embed.sql" in schema.migrate(migrated_database.dsn, with_pgml=True).applied
    assert there()
    assert schema.migrate(migrated_database.dsn, with_pgml=True).applied == []

    # Another release brings another text: the plain command applies it.
    files = queries.sql_files

    def newer(folder: str) -> dict[str, str]:
        return {path: f"{text}\n-- newer\n" for path, text in files(folder).items()}

    monkeypatch.setattr(schema, "sql_files", newer)
    assert "pgml/embed.sql" in schema.migrate(migrated_database.dsn).applied


def test_a_schema_that_was_dropped_comes_back_on_request_only(migrated_database: Database) -> None:
    schema.migrate(migrated_database.dsn, with_pgml=True)
    with migrated_database.connect() as conn:
        conn.execute("DROP SCHEMA pgml CASCADE")
    assert schema.migrate(migrated_database.dsn).applied == []
    assert "pgml/rank.sql" in schema.migrate(migrated_database.dsn, with_pgml=True).applied


def test_tables_of_its_users_are_no_obstacle(migrated_database: Database) -> None:
    with migrated_database.connect() as conn:
        conn.execute("CREATE SCHEMA pgml")
        conn.execute("CREATE TABLE pgml.amazon_us_reviews (review_body text)")
    schema.migrate(migrated_database.dsn, with_pgml=True)


def test_somebody_elses_functions_are_left_alone(migrated_database: Database) -> None:
    with migrated_database.connect() as conn:
        conn.execute("CREATE SCHEMA pgml")
        conn.execute("CREATE FUNCTION pgml.version() RETURNS text LANGUAGE sql AS $$SELECT '2'$$")
    with pytest.raises(DatabaseError, match=r"not rowvec's: the function pgml\.version") as caught:
        schema.migrate(migrated_database.dsn, with_pgml=True)
    assert caught.value.code == "42P06"
    assert schema.migrate(migrated_database.dsn).applied == []


def test_who_may(migrated_database: Database) -> None:
    schema.migrate(migrated_database.dsn, with_pgml=True)
    with migrated_database.connect() as conn:
        conn.execute("CREATE ROLE pgml_reader LOGIN")
        try:
            call = "SELECT pgml.embed('stand-in', NULL::text)"
            with migrated_database.connect("pgml_reader") as theirs:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    theirs.execute(call)
                conn.execute("GRANT rowvec_user TO pgml_reader")
                assert theirs.execute(call).fetchone() == (None,)
        finally:
            conn.execute("DROP ROLE pgml_reader")


@pytest.mark.parametrize("has_table", [False, True])
def test_uninstall_takes_the_functions_and_leaves_tables(
    migrated_database: Database, *, has_table: bool
) -> None:
    schema.migrate(migrated_database.dsn, with_pgml=True)
    with migrated_database.connect() as conn:
        if has_table:
            conn.execute("CREATE TABLE pgml.amazon_us_reviews (review_body text)")
    ours = "PostgresML's functions in the schema pgml"
    assert ours in plan(migrated_database.dsn, drop_columns=False).goes
    done = uninstall(migrated_database.dsn, drop_columns=False)
    assert ours in done.goes
    assert ("schema pgml" in done.goes) is not has_table
    with migrated_database.connect() as conn:
        left = conn.execute(
            "SELECT count(*) FROM pg_proc WHERE pronamespace = to_regnamespace('pgml')"
        ).fetchone()
    assert left == (0,)
