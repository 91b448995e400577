"""create_embedding, drop_embedding, rowvec.status: what is defined, refused, and shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.postgres import Database, refused


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "title text, body text, price int)"
        )
        connection.execute(
            "INSERT INTO reviews (title, body, price) "
            "SELECT 'title ' || g, 'body ' || g, g FROM generate_series(1, 20) AS g"
        )
        yield connection


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters or None).fetchone()
    assert row is not None
    return row[0]


def columns(conn: psycopg.Connection, table: str = "reviews") -> dict[str, str]:
    return dict(
        conn.execute(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (table,),
        ).fetchall()
    )


def test_adds_two_columns_and_says_what_comes_next(conn: psycopg.Connection) -> None:
    notices: list[str] = []
    conn.add_notice_handler(lambda d: notices.append(f"{d.message_primary} {d.message_hint}"))
    created = one(
        conn, "SELECT rowvec.create_embedding('reviews', 'stand-in', 'title || '' '' || body')"
    )
    assert columns(conn)["embedding"] == "vector(384)"
    assert columns(conn)["embedding_of"] == "bigint"
    assert "rowvec backfill reviews" in notices[0]
    status = conn.execute(
        "SELECT id, source::text, embedding, model, rows, pending, failed FROM rowvec.status"
    ).fetchall()
    assert status == [(created, "reviews", "embedding", "stand-in", 20, 20, 0)]


def test_expressions_are_stored_as_postgres_writes_them(conn: psycopg.Connection) -> None:
    """Qualified and free of comments, so that they mean the same under any search_path."""
    conn.execute("CREATE SCHEMA mine")
    conn.execute(
        "CREATE FUNCTION mine.shout(text) RETURNS text IMMUTABLE LANGUAGE sql RETURN upper($1)"
    )
    conn.execute("SET search_path = mine, public")
    conn.execute(
        "SELECT rowvec.create_embedding('reviews', 'stand-in-small', "
        "input => 'shout(reviews.title) || body -- both', filter => 'price > 10 /* dear */')"
    )
    found = conn.execute("SELECT input, filter FROM rowvec.embedding").fetchone()
    assert found == ("(mine.shout(title) || body)", "(price > 10)")
    conn.execute("SET search_path = public")
    assert one(conn, "SELECT pending FROM rowvec.status") == 10


MISTAKES = {
    "concat_ws": ("'concat_ws('' '', title, body)'", "42P17", "not immutable", "||"),
    "format": ("'format(''%s'', title)'", "42P17", "not immutable", "coalesce"),
    "now": ("'title || now()'", "42P17", "not immutable", "IMMUTABLE"),
    "a filter that moves": ("'title', filter => 'now() > ''epoch'''", "42P17", "the filter", ""),
    "no such column": ("'titel'", "42703", "titel", "title"),
    "no text": ("'price'", "42804", "integer, not text", "::text"),
    "filter is no boolean": ("'title', filter => 'price'", "42804", "boolean", ""),
    "subquery": ("'(SELECT title)'", "0A000", "subquery", ""),
    "aggregate": ("'max(title)'", "42803", "aggregate", ""),
    "two columns": ("'title, body'", "42601", "", ""),
    "nothing": ("''", "42601", "", ""),
    "whole row as text": ("'title', filter => 'reviews IS NOT NULL'", "0A000", "whole row", ""),
    "NULL": ("NULL", "22004", "must not be NULL", ""),
    "other destination": ("'title', destination => 'disk'", "22023", "'disk'", ""),
    "chunks in a column": ("'title', chunk => '{}'", "22023", "one vector a row", "'table'"),
    "mean of a table": (
        "'title', on_truncate => 'mean', destination => 'table'",
        "22023",
        "must be chunk",
        "",
    ),
    "on_truncate": ("'title', on_truncate => 'cry'", "22023", "'cry'", ""),
    "adopt": ("'title', adopt => 'steal'", "22023", "'steal'", ""),
    "kwargs": ("""'title', kwargs => '{"bad": 1}'""", "22023", "'bad'", "normalize"),
    "long name": ("'title', name => repeat('n', 61)", "42622", "60 bytes", ""),
    "no name": ("'title', name => ''", "42622", "60 bytes", ""),
    "name of a column": ("'title', name => 'price'", "42804", "integer", "another name"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_changes_nothing(
    conn: psycopg.Connection, mistake: tuple[str, str, str, str]
) -> None:
    arguments, sqlstate, message, hint = mistake
    before = columns(conn)
    with refused(sqlstate, message, hint):
        conn.execute(f"SELECT rowvec.create_embedding('reviews', 'stand-in', {arguments})")
    assert columns(conn) == before
    assert one(conn, "SELECT count(*) FROM rowvec.embedding") == 0


TRICKS = (
    "title); DROP TABLE reviews; SELECT (title",
    "title; DROP TABLE reviews",
    "title; DROP TABLE reviews --",
    "title) FROM reviews; DROP TABLE reviews; --",
    "title)) WHERE true; DROP TABLE reviews; --",
    "title /*",
    "title) --",
    "title || '",
    "title || $$",
    "$x$ || title",
    "title) , (title",
    "title FROM reviews; DROP TABLE reviews; SELECT title",
    "title INTO stolen",
    "title UNION SELECT title",
    "title AS t",
)


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("argument", ["input", "filter"])
def test_an_expression_is_one_expression(
    conn: psycopg.Connection, trick: str, argument: str
) -> None:
    expression = trick if argument == "input" else trick.replace("title", "(title > 'x')")
    given = {"input": "title", "filter": None, argument: expression}
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(
            "SELECT rowvec.create_embedding('reviews', 'stand-in-small', %(input)s, "
            "filter => %(filter)s)",
            given,
        )
    assert caught.value.sqlstate in ("42601", "42P11", "42703")
    assert one(conn, "SELECT count(*) FROM reviews") == 20


def test_model_must_be_listed(conn: psycopg.Connection) -> None:
    with refused("42501", "'nope'", "stand-in"):
        conn.execute("SELECT rowvec.create_embedding('reviews', 'nope', 'title')")


def test_worker_is_needed(migrated_database: Database) -> None:
    with migrated_database.connect() as conn:
        conn.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
        with refused("08001"):
            conn.execute("SELECT rowvec.create_embedding('t', 'stand-in', 'body')")
        assert columns(conn, "t") == {"id": "integer", "body": "text"}


OTHERS = {
    "missing": ("", "42P01", ""),
    "keyless": ("CREATE TABLE keyless (title text)", "42P16", "no primary key"),
    "a_view": ("CREATE VIEW a_view AS SELECT * FROM reviews", "42809", "not a table"),
    "temporary": ("CREATE TEMP TABLE temporary (title text)", "42809", "temporary"),
    "part1": (
        """CREATE TABLE part (id int PRIMARY KEY, title text) PARTITION BY RANGE (id);
        CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (1) TO (9)""",
        "42809",
        "is a partition",
    ),
}


@pytest.mark.parametrize("source", OTHERS)
def test_source_is_a_table_with_a_key(conn: psycopg.Connection, source: str) -> None:
    statement, sqlstate, message = OTHERS[source]
    if statement:
        conn.execute(statement)
    with refused(sqlstate, message):
        conn.execute(f"SELECT rowvec.create_embedding('{source}', 'stand-in', 'title')")


def test_column_of_another_dimension(conn: psycopg.Connection) -> None:
    conn.execute("ALTER TABLE reviews ADD COLUMN embedding vector(8)")
    with refused("22000", "makes 384 dimensions"):
        conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in', 'title')")


def test_an_empty_column_is_used(conn: psycopg.Connection) -> None:
    conn.execute("ALTER TABLE reviews ADD COLUMN embedding vector(8)")
    conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title')")
    assert columns(conn)["embedding_of"] == "bigint"


def test_hash_column_of_another_type(conn: psycopg.Connection) -> None:
    conn.execute("ALTER TABLE reviews ADD COLUMN embedding_of text")
    with refused("42804", "must be bigint"):
        conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title')")
    assert "embedding" not in columns(conn)


def test_virtual_column_is_refused(conn: psycopg.Connection) -> None:
    conn.execute("ALTER TABLE reviews ADD both_ text GENERATED ALWAYS AS (title || body) VIRTUAL")
    with refused("0A000", "virtual generated column"):
        conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in', 'both_')")


def test_a_lock_that_does_not_come(database: Database, conn: psycopg.Connection) -> None:
    with database.connect() as reader, reader.transaction():
        reader.execute("SELECT FROM reviews LIMIT 1")
        with refused("55P03", "in use", "try again"):
            conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in', 'title')")
    assert "embedding" not in columns(conn)
    conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in', 'title')")


def test_names_that_need_quotes(conn: psycopg.Connection) -> None:
    table, name = '"Weird ""t; DROP TABLE reviews"', """a "b' c"""
    conn.execute(f'CREATE TABLE {table} ("select" text PRIMARY KEY, "Key" text)')
    conn.execute(f"INSERT INTO {table} VALUES ('it''s', 'one'), ('\"', 'two')")
    conn.execute(
        "SELECT rowvec.create_embedding(%s, 'stand-in-small', %s, name => %s)",
        (table, '"Key" || "select"', name),
    )
    conn.execute("CALL rowvec.backfill(%s, %s)", (table, name))
    found = conn.execute(
        "SELECT key, row FROM rowvec.search(%s, 'x', embedding => %s)", (table, name)
    ).fetchall()
    assert sorted(key for key, _ in found) == ['"', "it's"]
    assert {row["Key"] for _, row in found} == {"one", "two"}
    conn.execute("SELECT rowvec.drop_embedding(%s, %s)", (table, name))
    assert columns(conn, table) == {"select": "text", "Key": "text"}
    assert one(conn, "SELECT count(*) FROM reviews") == 20


def test_which_embedding_is_meant(conn: psycopg.Connection) -> None:
    with refused("42P01", "has no embedding", "create_embedding"):
        conn.execute("SELECT rowvec.embed_query('reviews', 'x')")
    for name in ("one", "two"):
        conn.execute(
            "SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title', name => %s)",
            (name,),
        )
    with refused("42P01", '"three"', "one, two"):
        conn.execute("SELECT rowvec.embed_query('reviews', 'x', 'three')")
    with refused("42710", "already has an embedding"):
        conn.execute(
            "SELECT rowvec.create_embedding('reviews', 'stand-in', 'title', name => 'one')"
        )
    assert one(conn, "SELECT vector_dims(rowvec.embed_query('reviews', 'x', 'one'))") == 8


def test_drop_embedding(conn: psycopg.Connection) -> None:
    conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title')")
    conn.execute("SELECT rowvec.drop_embedding('reviews')")
    assert "embedding" not in columns(conn)
    assert "embedding_of" not in columns(conn)
    assert one(conn, "SELECT count(*) FROM rowvec.embedding") == 0


def test_what_others_need_is_not_dropped(conn: psycopg.Connection) -> None:
    conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title')")
    conn.execute("CREATE VIEW titles AS SELECT title, embedding FROM reviews")
    with refused("2BP01", "nothing was changed", "keep_columns => true") as refusal:
        conn.execute("SELECT rowvec.drop_embedding('reviews')")
    assert "titles" in refusal.detail
    assert one(conn, "SELECT count(*) FROM rowvec.embedding") == 1
    conn.execute("SELECT rowvec.drop_embedding('reviews', keep_columns => true)")


def test_hints_are_for_a_shell(conn: psycopg.Connection) -> None:
    conn.execute("""CREATE TABLE "it's" (id int PRIMARY KEY, body text)""")
    hints: list[str | None] = []
    conn.add_notice_handler(lambda d: hints.append(d.message_hint))
    for name in ("embedding", "other one"):
        conn.execute(
            """SELECT rowvec.create_embedding('"it''s"', 'stand-in-small', 'body', name => %s)""",
            (name,),
        )
    source = """'"it'\\''s"'"""
    assert f"rowvec backfill {source}, or CALL" in (hints[0] or "")
    assert f"rowvec backfill {source} --embedding 'other one', or CALL" in (hints[1] or "")


def test_drop_embedding_keeps_columns(conn: psycopg.Connection) -> None:
    """The vectors and their index stay, the index on pending rows goes."""
    conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title')")
    conn.execute("CALL rowvec.backfill('reviews')")
    pending = one(conn, "SELECT rowvec._pending(id) FROM rowvec.embedding")
    conn.execute(f"CREATE INDEX reviews_embedding_pending ON reviews (id) WHERE {pending}")
    conn.execute("CREATE INDEX reviews_kept ON reviews (embedding_of)")
    conn.execute("SELECT rowvec.drop_embedding('reviews', keep_columns => true)")
    assert one(conn, "SELECT count(embedding) FROM reviews") == 20
    indexes = conn.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'reviews'")
    assert {row[0] for row in indexes} == {"reviews_pkey", "reviews_kept"}


def test_dropped_table_leaves_a_definition_that_can_go(conn: psycopg.Connection) -> None:
    conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title')")
    conn.execute("DROP TABLE reviews")
    assert conn.execute("SELECT rows, pending, failed FROM rowvec.status").fetchall() == [
        (None, None, None)
    ]
    conn.execute("SELECT rowvec.drop_embedding(source) FROM rowvec.embedding")
    assert one(conn, "SELECT count(*) FROM rowvec.status") == 0


def test_a_rename_is_followed(conn: psycopg.Connection) -> None:
    conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title')")
    conn.execute("ALTER TABLE reviews RENAME TO opinions")
    conn.execute("CALL rowvec.backfill('opinions')")
    assert one(conn, "SELECT pending FROM rowvec.status") == 0


def test_a_column_that_is_gone_is_said_and_hides_no_other_embedding(
    conn: psycopg.Connection,
) -> None:
    for name in ("title", "body"):
        conn.execute(
            "SELECT rowvec.create_embedding('reviews', 'stand-in-small', %s, name => %s)",
            (name, f"of_{name}"),
        )
    conn.execute("ALTER TABLE reviews DROP COLUMN title")
    for view in ("status", "progress"):
        shown = conn.execute(
            f"SELECT embedding, pending FROM rowvec.{view} ORDER BY embedding"
        ).fetchall()
        assert shown == [("of_body", 20), ("of_title", None)]
    with refused("42703", "needs what is not there any more", "alter_embedding"):
        conn.execute("CALL rowvec.backfill('reviews', 'of_title')")
    conn.execute("SELECT rowvec.alter_embedding('reviews', 'of_title', input => 'body')")
    conn.execute("CALL rowvec.backfill('reviews', 'of_title')")


def test_prompts(conn: psycopg.Connection) -> None:
    """The definition's prompt is for documents; a query never gets it."""
    conn.execute(
        "SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'title', "
        """kwargs => '{"prompt": "passage: "}')"""
    )
    conn.execute("CALL rowvec.backfill('reviews')")
    assert one(
        conn,
        "SELECT bool_and(embedding = rowvec.embed('stand-in-small', 'passage: ' || title)) "
        "FROM reviews",
    )
    assert one(
        conn,
        "SELECT rowvec.embed_query('reviews', 'x') = rowvec.embed('stand-in-small', 'x')",
    )


@pytest.mark.parametrize(
    "body",
    ["LANGUAGE sql AS 'SELECT inner_one($1)'",
     "LANGUAGE plpgsql AS 'BEGIN RETURN inner_one($1); END'"],
    ids=["sql", "plpgsql"],
)  # fmt: skip
@pytest.mark.parametrize("part", ["input", "filter"])
@pytest.mark.parametrize("rows", [0, 3])
def test_a_function_that_looks_for_names_on_the_path_is_refused_with_the_cure(
    conn: psycopg.Connection, body: str, part: str, rows: int
) -> None:
    conn.execute("CREATE SCHEMA app; SET search_path = app, public")
    conn.execute("CREATE FUNCTION inner_one(text) RETURNS text IMMUTABLE LANGUAGE sql RETURN $1")
    conn.execute(f"CREATE FUNCTION outer_one(text) RETURNS text IMMUTABLE {body}".encode())
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, body varchar(9) NOT NULL)")
    conn.execute("INSERT INTO t SELECT i, 'text' FROM generate_series(1, %s) AS i", (rows,))
    declare = "SELECT rowvec.create_embedding('t', 'stand-in-small', " + (
        "'outer_one(body)')"
        if part == "input"
        else "'body', filter => 'outer_one(body) IS NOT NULL')"
    )
    with refused("42883", "inner_one", "ALTER FUNCTION app.outer_one(text)") as refusal:
        conn.execute(declare)
    conn.execute(refusal.hint.encode())
    conn.execute(declare)
    conn.execute("RESET search_path")
    conn.execute("CALL rowvec.backfill('app.t')")
    assert one(conn, "SELECT count(embedding) FROM app.t") == rows
    assert one(conn, "SELECT count(*) FROM rowvec.failure") == 0
