"""A vector counts for a row where its hash names the text of the row and the recipe that holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowvec.errors import RowvecError
from support.backfills import Fill
from support.hashes import row_hash
from support.postgres import Database, refused
from support.workers import StartWorker, point_at

MODELS = """
[[model]]
name = "one"
kind = "stand-in"
dimensions = 8
max_tokens = 6

[[model]]
name = "other"
kind = "stand-in"
dimensions = 8
revision = "another"
"""


@pytest.fixture(scope="module")
def conn_worker(start_module_worker: StartWorker) -> Any:
    return start_module_worker(MODELS)


@pytest.fixture
def conn(database: Database, conn_worker: Any) -> Iterator[psycopg.Connection]:
    point_at(database, conn_worker)
    with database.connect() as connection:
        yield connection


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def notes(conn: psycopg.Connection, rows: int = 20, name: str = "notes", tail: str = "") -> None:
    conn.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, body text) {tail}".encode())
    conn.execute(
        f"INSERT INTO {name} SELECT i, 'note ' || i FROM generate_series(1, {rows}) AS i".encode()
    )


def define(conn: psycopg.Connection, name: str = "notes", **arguments: Any) -> None:
    given = {"model": "one", "input": "body", **arguments}
    named = ", ".join(f"{key} => %({key})s" for key in given)
    conn.execute(f"SELECT rowvec.create_embedding('{name}', {named})".encode(), given)


def pending(conn: psycopg.Connection, name: str = "notes") -> int:
    found = one(conn, "SELECT pending FROM rowvec.status WHERE source = %s::regclass", name)
    return int(found)


def are_right(conn: psycopg.Connection, name: str = "notes", model: str = "one") -> bool:
    """Every vector is of its text, and there are no others."""
    return bool(
        one(
            conn,
            "SELECT bool_and(embedding IS NOT DISTINCT FROM"
            f" CASE WHEN body IS NOT NULL THEN rowvec.embed('{model}', body) END) FROM {name}",
        )
    )


def are_cut_right(conn: psycopg.Connection) -> bool:
    """Every text has the chunks that the worker cuts now, and there are no others."""
    return bool(
        one(
            conn,
            "SELECT bool_and(c.chunks IS NOT DISTINCT FROM ("
            " SELECT array_agg(chunk ORDER BY ordinality) FROM rowvec.chunk('one', n.body, ("
            " SELECT jsonb_build_object('max_tokens', chunk -> 'tokens',"
            " 'overlap', chunk -> 'overlap') FROM rowvec.embedding)))) FROM notes AS n FULL JOIN ("
            " SELECT id, array_agg(chunk ORDER BY ordinality) AS chunks"
            " FROM notes_embedding GROUP BY id) AS c USING (id)",
        )
    )


@pytest.fixture
def chunked(conn: psycopg.Connection, fill: Fill) -> psycopg.Connection:
    """Texts of several chunks, filled."""
    notes(conn)
    conn.execute("UPDATE notes SET body = repeat('word ' || id || '. ', id)")
    define(conn, destination="table", chunk='{"tokens": 6, "overlap": 0}')
    fill("notes")
    assert are_cut_right(conn)
    return conn


def test_the_hash_names_the_text(conn: psycopg.Connection) -> None:
    """By 128 bits, of which nobody can find a second text."""
    notes(conn)
    define(conn)
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT pg_typeof(embedding_of)::text FROM notes LIMIT 1") == "uuid"
    assert one(conn, "SELECT count(DISTINCT embedding_of) FROM notes") == 20
    assert one(conn, f"SELECT bool_and(embedding_of = {row_hash(conn, 'notes')}) FROM notes")


def test_a_null_is_not_the_empty_text(conn: psycopg.Connection, fill: Fill) -> None:
    notes(conn, 2)
    conn.execute("UPDATE notes SET body = CASE id WHEN 1 THEN '' END")
    define(conn, destination="table")
    fill("notes")
    assert one(conn, "SELECT count(DISTINCT embedding_of) FROM notes") == 2


def test_without_md5_there_is_sha256(conn: psycopg.Connection) -> None:
    notes(conn)
    define(conn)
    conn.execute("CALL rowvec.backfill('notes')")
    conn.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.md5(text) FROM PUBLIC")
    conn.execute("GRANT EXECUTE ON FUNCTION rowvec._digest() TO rowvec_user")
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL ROLE rowvec_user")
        with refused("0A000", "md5 is switched off", "rowvec.setting"):
            conn.execute("SELECT rowvec._digest()")
    conn.execute("UPDATE rowvec.setting SET value = '\"sha256\"' WHERE name = 'hash'")
    notes(conn, name="other")
    conn.execute(r"UPDATE other SET body = '\x \\ \' || body WHERE id < 5")
    define(conn, "other")
    conn.execute("SELECT rowvec.alter_embedding('notes')")
    for name in ("notes", "other"):
        assert pending(conn, name) == 20
        conn.execute(f"CALL rowvec.backfill('{name}')".encode())
        assert pending(conn, name) == 0
        assert are_right(conn, name)
    conn.execute(r"UPDATE other SET body = '\' || body WHERE id = 7")
    assert pending(conn, "other") == 1


def test_without_a_text_a_vector_goes_that_bears_no_hash(conn: psycopg.Connection) -> None:
    notes(conn)
    conn.execute("ALTER TABLE notes ADD embedding vector(8)")
    conn.execute("UPDATE notes SET embedding = rowvec.embed('one', body)")
    define(conn)
    conn.execute("UPDATE notes SET body = NULL WHERE id <= 5")
    conn.execute("CALL rowvec.backfill('notes')")
    assert pending(conn) == 0
    assert are_right(conn)


def test_without_a_text_old_chunks_go_while_others_are_cut_anew(
    chunked: psycopg.Connection, fill: Fill
) -> None:
    chunked.execute("""SELECT rowvec.alter_embedding('notes', chunk => '{"tokens": 5}')""")
    chunked.execute("UPDATE notes SET body = NULL WHERE id <= 5")
    fill("notes")
    assert pending(chunked) == 0
    assert are_cut_right(chunked)


def test_without_a_text_chunks_go_whatever_stands_in_the_hash(
    chunked: psycopg.Connection, fill: Fill
) -> None:
    chunked.execute("UPDATE notes SET embedding_of = NULL WHERE id <= 6")
    chunked.execute("UPDATE notes SET body = NULL WHERE id <= 3")
    assert pending(chunked) == 6
    fill("notes")
    assert pending(chunked) == 0
    assert are_cut_right(chunked)


@pytest.mark.parametrize("change", ["model => 'other'", """kwargs => '{"prompt": "p: "}'"""])
def test_a_partition_that_was_away_while_the_definition_changed(
    conn: psycopg.Connection, fill: Fill, change: str
) -> None:
    notes(conn, 0, tail="PARTITION BY RANGE (id)")
    conn.execute("CREATE TABLE low PARTITION OF notes FOR VALUES FROM (0) TO (11)")
    conn.execute("CREATE TABLE high PARTITION OF notes FOR VALUES FROM (11) TO (100)")
    conn.execute("INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 20) AS i")
    define(conn)
    fill("notes")
    conn.execute("ALTER TABLE notes DETACH PARTITION low")
    conn.execute(f"SELECT rowvec.alter_embedding('notes', {change})".encode())
    fill("notes")
    conn.execute("ALTER TABLE notes ATTACH PARTITION low FOR VALUES FROM (0) TO (11)")
    assert pending(conn) == 10
    assert fill("notes").written == 10
    assert pending(conn) == 0
    model, prompt = ("other", "") if "model" in change else ("one", "p: ")
    assert one(
        conn,
        f"SELECT bool_and(embedding = rowvec.embed('{model}', '{prompt}' || body)) FROM notes",
    )


def test_rows_of_a_table_of_another_model(conn: psycopg.Connection) -> None:
    notes(conn)
    notes(conn, 0, name="archive")
    notes(conn, 0, name="twin")
    define(conn)
    define(conn, "archive", model="other")
    define(conn, "twin")
    conn.execute("CALL rowvec.backfill('notes')")
    conn.execute("INSERT INTO archive SELECT * FROM notes")
    conn.execute("INSERT INTO twin SELECT * FROM notes")
    assert pending(conn, "archive") == 20
    # The same model under the same arguments makes the same of them.
    assert pending(conn, "twin") == 0
    conn.execute("CALL rowvec.backfill('archive')")
    assert are_right(conn, "archive", "other")
    assert are_right(conn, "twin")


def with_vectors(conn: psycopg.Connection, stale: int) -> None:
    notes(conn, 200)
    conn.execute("ALTER TABLE notes ADD embedding vector(8)")
    conn.execute("UPDATE notes SET embedding = rowvec.embed('one', body)")
    conn.execute(
        "UPDATE notes SET embedding = rowvec.embed('one', 'stale') WHERE id <= %s", (stale,)
    )


def test_adoption_verifies_every_row(conn: psycopg.Connection) -> None:
    """A sample that passes proves nothing about the rest: each row is embedded again."""
    with_vectors(conn, 0)
    define(conn)
    conn.execute("UPDATE notes SET embedding = rowvec.embed('one', 'stale') WHERE id = 77")
    assert pending(conn) == 200
    assert one(conn, "SELECT count(embedding) FROM notes") == 200
    conn.execute("CALL rowvec.backfill('notes')")
    assert pending(conn) == 0
    assert are_right(conn)


def test_adopted_on_trust_is_a_state_of_its_own(conn: psycopg.Connection) -> None:
    with_vectors(conn, 2)
    define(conn, adopt="trust")
    conn.execute("CALL rowvec.backfill('notes')")
    assert pending(conn) == 0
    assert one(conn, "SELECT unproven FROM rowvec.status") == 200
    assert (
        one(conn, f"SELECT count(*) FROM notes WHERE embedding_of = {row_hash(conn, 'notes')}") == 0
    )
    current = "SELECT count(*) FROM rowvec.search('notes', 'x', 300, options => %s)"
    assert one(conn, current, '{"current": true}') == 0
    # A row that changes is embedded, and then it is proven.
    conn.execute("UPDATE notes SET body = 'new ' || id WHERE id <= 10")
    conn.execute("UPDATE notes SET body = NULL WHERE id = 20")
    assert pending(conn) == 11
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT unproven FROM rowvec.status") == 189
    assert one(conn, current, '{"current": true}') == 10
    # Whatever says that the row is to be looked at proves it.
    conn.execute("UPDATE notes SET embedding_of = NULL WHERE embedding IS NOT NULL")
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT unproven FROM rowvec.status") == 0
    assert are_right(conn)


@pytest.mark.parametrize("raises", [False, True])
def test_vectors_adopted_on_trust_stay_where_the_filter_leaves_rows_out(
    conn: psycopg.Connection, *, raises: bool
) -> None:
    """A row that it leaves out has a text, also where the input is read by a function of ours."""
    with_vectors(conn, 0)
    text = "body::json #>> '{}'" if raises else "body"
    if raises:
        conn.execute("UPDATE notes SET body = to_json(body)::text")
    define(conn, adopt="trust", input=text, filter="id > 100")
    assert one(conn, "SELECT guarded IS NOT NULL FROM rowvec.embedding") == raises
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT unproven FROM rowvec.status") == 200
    # What is not of its text is taken away there, too.
    conn.execute("UPDATE notes SET body = '\"new\"' WHERE id IN (1, 101)")
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT array_agg(id) FROM notes WHERE embedding IS NULL") == [1]
    assert one(conn, "SELECT unproven FROM rowvec.status") == 198


def test_trust_ends_with_the_definition(conn: psycopg.Connection) -> None:
    with_vectors(conn, 2)
    define(conn, adopt="trust")
    conn.execute("CALL rowvec.backfill('notes')")
    conn.execute("SELECT rowvec.alter_embedding('notes', on_truncate => 'error')")
    assert pending(conn) == 200
    conn.execute("CALL rowvec.backfill('notes')")
    assert are_right(conn)


def test_trust_holds_for_the_cluster_and_the_tables_that_were_there(
    conn: psycopg.Connection, fill: Fill
) -> None:
    """Transactions are counted by each cluster for itself: after a restore nothing is believed."""
    notes(conn, 0, tail="PARTITION BY RANGE (id)")
    conn.execute("ALTER TABLE notes ADD embedding vector(8), ADD embedding_of uuid")
    for name, bounds in (
        ("low", "(0) TO (11)"),
        ("high", "(11) TO (21)"),
        ("more", "(21) TO (99)"),
    ):
        conn.execute(f"CREATE TABLE {name} PARTITION OF notes FOR VALUES FROM {bounds}".encode())
    conn.execute(
        "INSERT INTO notes SELECT i, 'note ' || i, rowvec.embed('one', 'old') FROM"
        " generate_series(1, 30) AS i"
    )
    conn.execute("ALTER TABLE notes DETACH PARTITION more")
    define(conn, adopt="trust")
    conn.execute("ALTER TABLE notes ATTACH PARTITION more FOR VALUES FROM (21) TO (99)")
    assert fill("notes", limit=5).kept == 5
    conn.execute("UPDATE rowvec.embedding SET adopted_cluster = adopted_cluster + 1")
    summary = fill("notes")
    assert (summary.kept, summary.written) == (0, 25)
    conn.execute("UPDATE notes SET embedding_of = NULL")
    fill("notes")
    assert are_right(conn)


@pytest.mark.parametrize("policy", ["truncate", "error"])
def test_another_policy_for_long_texts_makes_all_rows_pending(
    conn: psycopg.Connection, fill: Fill, policy: str
) -> None:
    notes(conn)
    conn.execute("UPDATE notes SET body = repeat('long ', 20) || id WHERE id <= 5")
    define(conn, on_truncate="mean")
    fill("notes")
    conn.execute("SELECT rowvec.alter_embedding('notes', on_truncate => %s)", (policy,))
    assert pending(conn) == 20
    summary = fill("notes")
    assert (summary.written, summary.failed) == ((20, 0) if policy == "truncate" else (15, 5))
    assert one(
        conn,
        "SELECT bool_and(embedding = rowvec.embed('one', body)) FROM notes"
        + (" WHERE id > 5" if policy == "error" else ""),
    )


def test_a_vector_that_was_removed_comes_back(conn: psycopg.Connection) -> None:
    notes(conn)
    define(conn)
    conn.execute("CALL rowvec.backfill('notes')")
    conn.execute("UPDATE notes SET embedding = NULL WHERE id <= 4")
    assert pending(conn) == 4
    conn.execute("CALL rowvec.backfill('notes')")
    assert are_right(conn)


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("DELETE FROM notes_embedding WHERE id = 15 AND ordinality = 2", 1),
        ("DELETE FROM notes_embedding WHERE id > 15", 5),
        ("TRUNCATE notes_embedding", 20),
    ],
)
def test_chunks_that_were_removed_come_back(
    chunked: psycopg.Connection, fill: Fill, statement: str, rows: int
) -> None:
    chunked.execute(statement.encode())
    assert pending(chunked) == rows
    assert fill("notes").written == rows
    assert pending(chunked) == 0
    assert are_cut_right(chunked)


def test_what_is_left_of_chunks_goes_with_the_text(chunked: psycopg.Connection, fill: Fill) -> None:
    chunked.execute("DELETE FROM notes_embedding WHERE ordinality = 1")
    chunked.execute("UPDATE notes SET body = NULL WHERE id < 10")
    fill("notes")
    assert are_cut_right(chunked)


def test_rows_that_go_or_change_their_key_are_no_torn_ones(
    chunked: psycopg.Connection, fill: Fill
) -> None:
    chunked.execute("DELETE FROM notes WHERE id < 5")
    chunked.execute("UPDATE notes SET id = id + 100")
    assert pending(chunked) == 0
    chunked.execute("TRUNCATE notes CASCADE")
    assert pending(chunked) == 0
    assert fill("notes").written == 0


def test_a_row_that_takes_no_part_keeps_the_vector_of_its_text_and_no_other(
    conn: psycopg.Connection,
) -> None:
    notes(conn)
    conn.execute("ALTER TABLE notes ADD embedding vector(8)")
    conn.execute("UPDATE notes SET embedding = '[1,2,3,4,5,6,7,8]' WHERE id > 18")
    define(conn, filter="id < 16 AND body NOT LIKE 'no more%'")
    conn.execute("CALL rowvec.backfill('notes')")
    conn.execute("UPDATE notes SET body = 'no more ' || body WHERE id <= 5")
    conn.execute("UPDATE notes SET id = id + 100 WHERE id BETWEEN 6 AND 8")
    assert pending(conn) == 5
    conn.execute("CALL rowvec.backfill('notes')")
    assert pending(conn) == 0
    filled = "SELECT array_agg(id ORDER BY id) FROM notes WHERE embedding IS NOT NULL"
    assert one(conn, filled) == [*range(9, 16), *range(106, 109)]
    assert one(
        conn,
        "SELECT bool_and(embedding = rowvec.embed('one', body)) FROM notes"
        " WHERE embedding IS NOT NULL",
    )
    conn.execute("UPDATE notes SET body = 'note' WHERE id <= 5")
    assert pending(conn) == 5


PRINTED = {
    "bytea": "(bytes)::text",
    "within a function": "substring(bytes, 1, 2)::text",
    "element": "(many[1])::text",
    "domain": "(own)::text",
    "varchar": "body || bytes::varchar",
    "double": "body || number::text",
    "written out": "body || number",
    "sql function": "printed(bytes)",
    "output function": "textin(byteaout(bytes))",
    "point": "place::text",
    "timestamp": "at::text",
    "interval": "lasts::text",
    "money": "price::text",
}


@pytest.fixture
def typed(conn: psycopg.Connection) -> psycopg.Connection:
    """A table with columns whose text is printed by settings of the session."""
    conn.execute(
        """
        CREATE DOMAIN own AS bytea;
        CREATE FUNCTION printed(bytea) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1::text';
        CREATE TABLE notes (id int PRIMARY KEY, body text, bytes bytea, many bytea[], own own,
            number float8, place point, at timestamp, lasts interval, price money)
        """
    )
    return conn


@pytest.mark.parametrize("expression", PRINTED.values(), ids=PRINTED)
def test_what_a_session_prints_by_its_settings_is_no_input(
    typed: psycopg.Connection, expression: str
) -> None:
    with refused("42P17", "for the same row"):
        define(typed, input=expression)
    with refused("42P17", "for the same row"):
        define(typed, input="body", filter=f"length({expression}) > 3")


def test_what_every_session_prints_alike_is_an_input(typed: psycopg.Connection) -> None:
    define(
        typed,
        input="encode(bytes, 'hex') || (number::numeric)::text || id || (number > 1)::text",
        filter="number > 0.5 AND bytes <> 'x'",
    )
    typed.execute(
        "INSERT INTO notes (id, bytes, number, body)"
        r" SELECT i, '\xff', i / 3.0, 'b' FROM generate_series(2, 9) AS i"
    )
    typed.execute("CALL rowvec.backfill('notes')")
    typed.execute("SET bytea_output = 'escape'; SET extra_float_digits = -3")
    typed.execute("UPDATE notes SET body = 'c'")
    assert pending(typed) == 0


@pytest.mark.parametrize("job", ["procedure", "command"])
def test_a_function_that_the_input_calls_is_replaced(
    conn: psycopg.Connection, fill: Fill, job: str
) -> None:
    """The index on pending rows still has the entries of the old one, and is built anew."""
    function = (
        "CREATE OR REPLACE FUNCTION prepared(t text) RETURNS text"
        " IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN {}; END'"
    )
    conn.execute(function.format("t").encode())
    notes(conn)
    define(conn, input="prepared(body)")
    fill("notes")
    for changed in ("upper(t)", "CASE WHEN length(t) > 6 THEN upper(t) END"):
        conn.execute(function.format(changed).encode())
        if job == "command":
            fill("notes")
        else:
            conn.execute("CALL rowvec.backfill('notes')")
        assert pending(conn) == 0
        assert one(
            conn,
            "SELECT bool_and(embedding IS NOT DISTINCT FROM CASE WHEN prepared(body) IS NOT NULL"
            " THEN rowvec.embed('one', prepared(body)) END) FROM notes",
        )


STAMP = "SELECT rowvec._pending_stamp(id) FROM rowvec.embedding"


def test_functions_that_the_input_does_not_call_leave_its_index_alone(
    conn: psycopg.Connection,
) -> None:
    """Whatever their names: else anyone could have every index built anew, again and again."""
    notes(conn)
    define(conn)
    before = one(conn, STAMP)
    for name in ("public.md5", "public.id", "public.body", "pg_temp.md5", "pg_temp.uuid"):
        conn.execute(
            f"CREATE FUNCTION {name}(t text) RETURNS text LANGUAGE sql AS 'SELECT t'".encode()
        )
    conn.execute("CREATE TYPE pg_temp.own AS (a int)")
    conn.execute(
        "CREATE FUNCTION pg_temp.cast_it(pg_temp.own) RETURNS text LANGUAGE sql AS 'SELECT $$$$'"
    )
    conn.execute(
        "CREATE CAST (pg_temp.own AS text) WITH FUNCTION pg_temp.cast_it(pg_temp.own) AS IMPLICIT"
    )
    assert one(conn, STAMP) == before


@pytest.mark.parametrize("text", ["body ||| 'x'", "joined(body, 'x')"])
def test_the_stamp_changes_with_the_function_of_an_operator(
    conn: psycopg.Connection, text: str
) -> None:
    function = (
        "CREATE OR REPLACE FUNCTION public.joined(a text, b text) RETURNS text IMMUTABLE"
        " LANGUAGE plpgsql AS 'BEGIN RETURN {}; END'"
    )
    conn.execute(function.format("a || b").encode())
    conn.execute("CREATE OPERATOR public.||| (FUNCTION = joined, LEFTARG = text, RIGHTARG = text)")
    notes(conn)
    define(conn, input=text)
    before = one(conn, STAMP)
    conn.execute(function.format("b || a").encode())
    assert one(conn, STAMP) != before


def test_the_index_of_a_partition_that_was_away_is_built_anew(
    conn: psycopg.Connection, fill: Fill
) -> None:
    """It bears the right name, and is of the old definition."""
    notes(conn, 0, tail="PARTITION BY RANGE (id)")
    conn.execute("CREATE TABLE low PARTITION OF notes FOR VALUES FROM (0) TO (11)")
    define(conn)
    fill("notes")
    index = "SELECT obj_description('low_embedding_pending'::regclass) FROM rowvec.embedding"
    before = one(conn, index)
    conn.execute("ALTER TABLE notes DETACH PARTITION low")
    conn.execute("SELECT rowvec.alter_embedding('notes', on_truncate => 'error')")
    conn.execute("ALTER TABLE notes ATTACH PARTITION low FOR VALUES FROM (0) TO (11)")
    fill("notes")
    assert one(conn, index) == one(conn, "SELECT rowvec._pending_stamp(id) FROM rowvec.embedding")
    assert one(conn, index) != before


@pytest.mark.parametrize("job", ["procedure", "command"])
def test_a_function_is_replaced_while_a_partition_is_away(
    conn: psycopg.Connection, fill: Fill, job: str
) -> None:
    """Postgres makes the index of a partition, and takes it back as it was when it comes again."""
    function = (
        "CREATE OR REPLACE FUNCTION prepared(t text) RETURNS text"
        " IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN {}; END'"
    )
    conn.execute(function.format("t").encode())
    notes(conn, 0, tail="PARTITION BY RANGE (id)")
    conn.execute("CREATE TABLE low PARTITION OF notes FOR VALUES FROM (0) TO (11)")
    define(conn, input="prepared(body)")
    fill("notes")
    conn.execute("CREATE TABLE high PARTITION OF notes FOR VALUES FROM (11) TO (21)")
    conn.execute("INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 20) AS i")
    fill("notes")
    conn.execute("ALTER TABLE notes DETACH PARTITION high")
    conn.execute(function.format("upper(t)").encode())
    fill("notes")
    conn.execute("ALTER TABLE notes ATTACH PARTITION high FOR VALUES FROM (11) TO (21)")
    if job == "command":
        fill("notes")
    else:
        conn.execute("CALL rowvec.backfill('notes')")
    conn.execute("SET enable_indexscan = off")
    assert one(
        conn,
        "SELECT bool_and(embedding = rowvec.embed('one', prepared(body))) FROM notes",
    )


def test_weights_that_are_replaced_behind_a_name(
    database: Database, fill: Fill, start_worker: StartWorker, tmp_path: Path
) -> None:
    """Of a folder that the list does not pin: columns get nothing of other weights."""
    models = f'[[model]]\nname = "words"\nkind = "word-vectors"\npath = "{tmp_path}"\n'
    weights = tmp_path / "words.txt"
    weights.write_text("note 1 0 0\ntext 0 1 0\n")
    point_at(database, start_worker(models))
    with database.connect() as conn:
        notes(conn, 2)
        conn.execute("UPDATE notes SET body = CASE id WHEN 1 THEN 'note' ELSE 'text' END")
        define(conn, model="words")
        fill("notes")
    weights.write_text("note 0 0 1\ntext 0 1 1\n")
    point_at(database, start_worker(models))
    with database.connect() as conn:
        conn.execute("INSERT INTO notes VALUES (3, 'note')")
        with pytest.raises(RowvecError, match="pins revision"):
            fill("notes")
        with refused("0A000", "pins revision", "alter_embedding"):
            conn.execute("SELECT rowvec.embed_query('notes', 'note')")
        conn.execute("SELECT rowvec.alter_embedding('notes')")
        assert pending(conn) == 3
        assert fill("notes").written == 3
        assert are_right(conn, model="words")
        assert one(conn, "SELECT embedding::text FROM notes WHERE id = 1") == "[0,0,1]"
