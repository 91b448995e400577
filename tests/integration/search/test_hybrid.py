"""search by words and vectors together, by chunks, as typed rows; what it warns of."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.commands import Rowvec
from support.postgres import Database, refused

WORDS = ("apple", "pear", "plum", "quince", "fig")


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """200 notes: each has one of five fruits, every 40th the word zebra."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY, title text, body text)")
        for i in range(1, 201):
            body = f"the {WORDS[i % 5]} number {i}" + (" and a zebra" if i % 40 == 0 else "")
            connection.execute("INSERT INTO notes VALUES (%s, %s, %s)", (i, f"note {i}", body))
        connection.execute("SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body')")
        connection.execute("CALL rowvec.backfill('notes')")
        yield connection


def found(conn: psycopg.Connection, arguments: str, *parameters: object) -> list[Any]:
    statement = f"SELECT key, distance, rank, row FROM rowvec.search('notes', {arguments})"
    return conn.execute(statement, parameters or None).fetchall()


def keys(conn: psycopg.Connection, arguments: str, *parameters: object) -> list[Any]:
    return [row[0] for row in found(conn, arguments, *parameters)]


def warnings_of(conn: psycopg.Connection, statement: str) -> list[tuple[str | None, str | None]]:
    said: list[tuple[str | None, str | None]] = []

    def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
        said.append((diagnostic.severity, diagnostic.message_primary))

    # What was found filled is believed for a second.
    conn.execute("SET rowvec.filled = ''")
    conn.add_notice_handler(hear)
    conn.execute(statement)
    conn.remove_notice_handler(hear)
    return said


def test_words_alone(conn: psycopg.Connection) -> None:
    rows = found(conn, "'a zebra', method => 'text'")
    assert sorted(row[0] for row in rows) == [40, 80, 120, 160, 200]
    assert [row[2] for row in rows] == [1, 2, 3, 4, 5]
    assert all(row[1] is not None for row in rows)


def test_fused_by_reciprocal_rank(conn: psycopg.Connection) -> None:
    """What SQL answers is what the formula gives by hand, 1 / (60 + place) of each half."""
    query = "'quince zebra', 100"
    score: dict[int, float] = defaultdict(float)
    halves = [keys(conn, f"{query}, method => '{method}'") for method in ("vector", "text")]
    assert len(halves[1]) == 45
    for half in halves:
        for place, key in enumerate(half, 1):
            score[key] += 1 / (60 + place)
    expected = sorted(score, key=lambda key: (-score[key], key))
    assert keys(conn, "'quince zebra', 100, method => 'hybrid'") == expected[:100]


def test_weights_of_the_halves(conn: psycopg.Connection) -> None:
    only_vectors = """options => '{"method": "hybrid", "weights": {"text": 0}}'"""
    assert keys(conn, f"'zebra', 20, {only_vectors}") == keys(conn, "'zebra', 20")
    mostly_text = """options => '{"method": "hybrid", "weights": {"vector": 0.001}}'"""
    assert keys(conn, f"'zebra', 5, {mostly_text}") == keys(conn, "'zebra', 5, method => 'text'")


def test_words_that_no_text_has(conn: psycopg.Connection) -> None:
    for query in ("'unheard of'", "'the and of'", "''"):
        assert keys(conn, f"{query}, method => 'text'") == []
        assert keys(conn, f"{query}, method => 'hybrid'") == keys(conn, query)


def test_words_are_data(conn: psycopg.Connection) -> None:
    """No operator, quote or bracket of a query means anything to tsquery."""
    for query in ("zebra' & !( | (", "zebra:*A", "\\zebra", "zebra $1 %s"):
        assert 40 in keys(conn, "%s, method => 'text'", query)
        arguments = "%s, method => 'text', filter => 'id = $1', filter_args => '[40]'"
        assert keys(conn, arguments, query) == [40]


def test_the_language_of_the_words(conn: psycopg.Connection) -> None:
    english = """options => '{"method": "text", "text_config": "english"}'"""
    simple = """options => '{"method": "text", "text_config": "pg_catalog.simple"}'"""
    assert len(keys(conn, f"'zebras', {english}")) == 5
    assert keys(conn, f"'zebras', {simple}") == []


@pytest.mark.parametrize("method", ["text", "hybrid"])
def test_filter_and_currency(conn: psycopg.Connection, method: str) -> None:
    arguments = f"'zebra', 200, filter => 'id < $1', filter_args => '[81]', method => '{method}'"
    rows = keys(conn, arguments)
    assert {40, 80} <= set(rows)
    assert max(rows) <= 80
    conn.execute("UPDATE notes SET body = 'a new zebra' WHERE id = 40")
    current = """options => '{"current": true}'"""
    assert 40 not in keys(conn, f"'zebra', 200, method => '{method}', {current}")


def test_a_row_without_a_vector_is_found_by_its_words(conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO notes VALUES (999, 'new', 'an okapi')")
    rows = found(conn, "'okapi', 200, method => 'hybrid'")
    (row,) = (row for row in rows if row[0] == 999)
    assert row[1] is None
    assert row[3]["body"] == "an okapi"


MISTAKES = {
    "method": ("'x', method => 'magic'", "22023", "vector, text or hybrid"),
    "weights": ("""'x', options => '{"weights": {"text": -1}}'""", "22023", "weights"),
    "weights of": ("""'x', options => '{"weights": {"txt": 1}}'""", "22023", "weights"),
    "config": ("""'x', options => '{"method": "text", "text_config": "no"}'""", "42704", "no"),
    "candidates": ("""'x', options => '{"candidates": "all"}'""", "22023", "candidates"),
    "exact": ("""'x', options => '{"exact": "yes"}'""", "22023", "exact"),
    "k": ("'x', 1000000, method => 'hybrid'", "22023", "k must be from 1 to 10000"),
    "reranker": ("'x', rerank => 'nobody'", "42501", "nobody"),
    "no reranker": ("'x', rerank => 'stand-in'", "", ""),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake(conn: psycopg.Connection, mistake: tuple[str, str, str]) -> None:
    arguments, sqlstate, message = mistake
    with pytest.raises(psycopg.Error) as caught:
        found(conn, arguments)
    assert not sqlstate or caught.value.sqlstate == sqlstate
    assert message in str(caught.value)


def test_rows_have_no_words_to_search_by(conn: psycopg.Connection) -> None:
    for call in (
        """similar('notes', '1', options => '{"method": "hybrid"}')""",
        """similar_pairs('notes', options => '{"rerank": "m"}')""",
        """nearest('notes', '[1,2,3,4,5,6,7,8]', options => '{"method": "text"}')""",
    ):
        with refused("22023", "a query in words"):
            conn.execute(f"SELECT * FROM rowvec.{call}")


def test_typed_rows(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        "SELECT (r.row).id, (r.row).title, (r.row).embedding IS NOT NULL, r.distance, r.rank"
        " FROM rowvec.search_rows(NULL::notes, 'fig', 5, filter => 'id > $1',"
        " filter_args => '[20]') AS r"
    ).fetchall()
    same = found(conn, "'fig', 5, filter => 'id > 20'")
    assert rows == [(key, row["title"], True, distance, rank) for key, distance, rank, row in same]


def test_typed_rows_of_a_table_that_has_changed(conn: psycopg.Connection) -> None:
    """Dropped and added columns, a column named as the table, a name to be quoted."""
    conn.execute('CREATE TABLE "Odd One" (a int, id int PRIMARY KEY, gone int, "Odd One" text)')
    conn.execute("""INSERT INTO "Odd One" VALUES (5, 1, 2, 'text')""")
    conn.execute("""SELECT rowvec.create_embedding('"Odd One"', 'stand-in-small', '"Odd One"')""")
    conn.execute("""CALL rowvec.backfill('"Odd One"')""")
    conn.execute('ALTER TABLE "Odd One" DROP gone')
    conn.execute("""ALTER TABLE "Odd One" ADD more text DEFAULT 'm'""")
    row = conn.execute(
        """SELECT (r.row).a, (r.row).id, (r.row)."Odd One", (r.row).more
        FROM rowvec.search_rows(NULL::"Odd One", 'x', method => 'hybrid') AS r"""
    ).fetchone()
    assert row == (5, 1, "text", "m")


def test_typed_rows_of_no_table(conn: psycopg.Connection) -> None:
    with refused("42809", "integer is not the row type of a table", "NULL::reviews"):
        conn.execute("SELECT * FROM rowvec.search_rows(NULL::int, 'x')")
    conn.execute("CREATE TABLE bare (id int PRIMARY KEY)")
    with refused("42P01", "has no embedding"):
        conn.execute("SELECT * FROM rowvec.search_rows(NULL::bare, 'x')")


@pytest.fixture
def chunked(conn: psycopg.Connection) -> psycopg.Connection:
    """The same connection; the table essays has many chunks a row."""
    conn.execute("CREATE TABLE essays (id int, part text, body text, PRIMARY KEY (part, id))")
    conn.execute(
        "INSERT INTO essays SELECT g, 'p' || g % 2, (SELECT string_agg('sentence ' || s ||"
        " ' of essay ' || g, '. ') FROM generate_series(1, 12) AS s) FROM generate_series(1, 30) g"
    )
    conn.execute(
        "SELECT rowvec.create_embedding('essays', 'stand-in-small', 'body', destination => 'table',"
        """ chunk => '{"tokens": 8}')"""
    )
    return conn


def fill_chunks(conn: psycopg.Connection) -> None:
    """Three chunks a row with the stand-in's vectors; what the backfill does in a job."""
    conn.execute(
        "INSERT INTO essays_embedding (part, id, ordinality, chunk, start_char, end_char, tokens,"
        " embedding) SELECT e.part, e.id, o, c, 0, length(c), 5, rowvec.embed('stand-in-small', c)"
        " FROM essays AS e, generate_series(1, 3) AS o, LATERAL (SELECT 'chunk ' || o ||"
        " ' of ' || e.id AS c) AS t"
    )
    conn.execute("UPDATE essays SET embedding_of = hashtextextended(body, 0)")


def test_one_row_a_source_row_with_its_nearest_chunk(chunked: psycopg.Connection) -> None:
    fill_chunks(chunked)
    rows = chunked.execute(
        "SELECT key, distance, rank, row FROM rowvec.search('essays', 'chunk 2 of 7', 30)"
    ).fetchall()
    assert len(rows) == len({str(key) for key, *_ in rows}) == 30
    assert rows[0][0] == {"part": "p1", "id": 7}
    assert rows[0][3]["_chunk"] == {
        "ordinality": 2, "chunk": "chunk 2 of 7", "start_char": 0, "end_char": 12,
    }  # fmt: skip
    assert set(rows[0][3]) == {"id", "part", "body", "_chunk"}
    exact = chunked.execute(
        "SELECT min(embedding <=> rowvec.embed('stand-in-small', 'chunk 2 of 7')) AS d"
        " FROM essays_embedding GROUP BY part, id ORDER BY d"
    ).fetchall()
    assert [distance for _, distance, *_ in rows] == pytest.approx([d for (d,) in exact])


def test_one_long_text_is_all_that_is_near(chunked: psycopg.Connection) -> None:
    """A thousand equal chunks of one row before any other: the others are found all the same."""
    fill_chunks(chunked)
    chunked.execute(
        "INSERT INTO essays_embedding (part, id, ordinality, chunk, start_char, end_char, tokens,"
        " embedding) SELECT 'p1', 7, o, 'the query', 0, 9, 3,"
        " (SELECT rowvec.embed('stand-in-small', 'the query')) FROM generate_series(10, 1009) AS o"
    )
    found = chunked.execute("SELECT key FROM rowvec.search('essays', 'the query', 5)").fetchall()
    assert len(found) == 5
    assert found[0][0] == {"part": "p1", "id": 7}


def test_filters_and_neighbours_of_chunked_rows(chunked: psycopg.Connection) -> None:
    fill_chunks(chunked)
    found = chunked.execute(
        "SELECT key FROM rowvec.search('essays', 'x', 30,"
        " filter => 'part = $1 AND essays.id % 2 = 0 AND id > 9',"
        """ filter_args => '["p0"]', method => 'hybrid')"""
    ).fetchall()
    assert sorted(key["id"] for (key,) in found) == list(range(10, 31, 2))
    others = chunked.execute(
        'SELECT key FROM rowvec.similar(\'essays\', \'{"part": "p1", "id": 7}\', 30)'
    ).fetchall()
    assert len(others) == 29
    typed = chunked.execute(
        "SELECT (r.row).id FROM rowvec.search_rows(NULL::essays, 'chunk 2 of 7', 1) AS r"
    ).fetchone()
    assert typed == (7,)


def test_a_warning_says_how_much_is_pending(conn: psycopg.Connection) -> None:
    statement = "SELECT * FROM rowvec.search('notes', 'x')"
    assert warnings_of(conn, statement) == []
    conn.execute("UPDATE notes SET body = body || ' changed' WHERE id <= 50")
    ((severity, message),) = warnings_of(conn, statement)
    assert severity == "WARNING"
    assert message is not None
    assert message.startswith("50 of 200 rows of public.notes are pending")
    conn.execute("CREATE INDEX ON notes (id) WHERE " + pending(conn))
    conn.execute("ANALYZE notes")
    assert [m for _, m in warnings_of(conn, statement)] == [message]
    conn.execute("CALL rowvec.backfill('notes')")
    assert warnings_of(conn, statement) == []


def pending(conn: psycopg.Connection) -> str:
    row = conn.execute("SELECT rowvec._pending(id) FROM rowvec.embedding").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("analysed", [True, False])
def test_a_warning_where_a_large_table_has_no_index(
    conn: psycopg.Connection, *, analysed: bool
) -> None:
    """A sample says how many rows have no vector, whatever statistics there are."""
    conn.execute(
        "INSERT INTO notes SELECT g, repeat('x', 500), 'y' FROM generate_series(300, 9999) g"
    )
    if analysed:
        conn.execute("ANALYZE notes")
    ((_, message),) = warnings_of(conn, "SELECT * FROM rowvec.similar('notes', '1')")
    assert message is not None
    assert re.match(r"about (9\d|100) % of the rows of public.notes are pending", message)


@pytest.mark.parametrize("call", ["search('notes', %s)", "embed_query('notes', %s)"])
def test_a_warning_where_the_query_is_too_long(conn: psycopg.Connection, call: str) -> None:
    long = "'" + "word " * 40 + "'"
    ((severity, message),) = warnings_of(conn, f"SELECT * FROM rowvec.{call % long}")
    assert severity == "WARNING"
    assert message is not None
    assert message.startswith("the end of the query is left out: the text has ")
    assert message.endswith(" tokens, the model reads 16")


def test_an_index_of_the_words(
    conn: psycopg.Connection, database: Database, rowvec: Rowvec
) -> None:
    """By the command or by the statement that SQL gives; once, and used at default settings."""
    conn.execute(
        "INSERT INTO notes SELECT g, 't', repeat('filler ', 30)"
        " FROM generate_series(300, 9999) AS g"
    )
    before = keys(conn, "'zebra', method => 'text'")
    done = rowvec("index", "notes", "--text", "--text-config", "english", "--dsn", database.dsn)
    assert done.returncode == 0, done.stderr
    assert "CREATE INDEX CONCURRENTLY notes_embedding_text_idx" in done.stderr
    again = "SELECT rowvec.set_text_search('notes', 'english')"
    assert conn.execute(again).fetchone() == (None,)
    conn.execute("ANALYZE notes")
    assert keys(conn, "'zebra', method => 'text'") == before
    said: list[str] = []
    conn.execute("LOAD 'auto_explain'")
    conn.execute(
        "SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;"
        "SET auto_explain.log_level = notice"
    )
    conn.add_notice_handler(lambda diagnostic: said.append(diagnostic.message_primary or ""))
    keys(conn, "'zebra', method => 'hybrid'")
    assert "Bitmap Index Scan on notes_embedding_text_idx" in "\n".join(said)


def test_weights_of_columns(conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO notes VALUES (300, 'zebra', 'nothing of the kind')")
    assert 300 not in keys(conn, "'zebra', method => 'text'")
    statement = conn.execute(
        """SELECT rowvec.set_text_search('notes', weights => '{"title": "A", "body": "D"}')"""
    ).fetchone()
    assert statement is not None
    conn.execute(statement[0])
    assert keys(conn, "'zebra', method => 'text'")[0] == 300
    other_language = """options => '{"method": "text", "text_config": "german"}'"""
    assert 300 not in keys(conn, f"'zebra', {other_language}")
    for weights in ('{"id": "A"}', '{"title": "E"}', '{"no": "A"}', "[]", "{}"):
        with refused("22023", ""):
            conn.execute("SELECT rowvec.set_text_search('notes', weights => %s)", (weights,))


def test_another_input_is_searched_by_its_own_words(conn: psycopg.Connection) -> None:
    conn.execute("SELECT rowvec.set_text_search('notes', 'english')")
    english = """options => '{"method": "text", "text_config": "english"}'"""
    assert len(keys(conn, f"'zebra', {english}")) == 5
    conn.execute("SELECT rowvec.alter_embedding('notes', input => 'title')")
    assert keys(conn, f"'zebra', {english}") == []
    assert keys(conn, f"'note 77', 1, {english}") == [77]


def test_a_column_of_parsed_words(conn: psycopg.Connection) -> None:
    conn.execute(
        'ALTER TABLE notes ADD "the %s" tsvector'
        " GENERATED ALWAYS AS (to_tsvector('english', title)) STORED"
    )
    statement = conn.execute(
        "SELECT rowvec.set_text_search('notes', 'english', document => 'the %s')"
    ).fetchone()
    assert statement is not None
    conn.execute(statement[0])
    english = """options => '{"method": "text", "text_config": "english"}'"""
    assert keys(conn, f"'note 77', 1, {english}") == [77]
    assert keys(conn, f"'zebra', {english}") == []
    for mistake in ("document => 'body'", "document => 'no'"):
        with refused("42703", "of type tsvector"):
            conn.execute(f"SELECT rowvec.set_text_search('notes', {mistake})")


def test_the_command(conn: psycopg.Connection, database: Database, rowvec: Rowvec) -> None:
    conn.execute("INSERT INTO notes VALUES (999, 'new', 'an okapi')")
    arguments = ("search", "notes", "okapi", "-k", "1", "--method", "text", "--dsn", database.dsn)
    done = rowvec(*arguments, "--json", "--sql")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["key"], found["distance"], found["rank"]) == (999, None, 1)
    statement = next(line for line in done.stderr.splitlines() if line.startswith("SELECT"))
    again = conn.execute(statement).fetchone()
    assert again is not None
    assert again[0] == 999
    assert "an okapi" in rowvec(*arguments).stdout


@pytest.mark.parametrize("weights", [None, '{"title": "A", "body": "D"}'])
def test_a_text_with_more_words_than_a_tsvector_holds(
    conn: psycopg.Connection, weights: str | None
) -> None:
    """It is left out of the words; searches go on, and the application writes it as any other."""
    huge = " ".join(f"word{n:x}" for n in range(150_000))
    conn.execute("INSERT INTO notes VALUES (500, 'large', %s)", (huge,))
    for method in ("text", "hybrid"):
        assert 40 in keys(conn, "'zebra', 200, method => %s", method)
    (statement,) = conn.execute(
        "SELECT rowvec.set_text_search('notes', weights => %s)", (weights,)
    ).fetchone() or ("",)
    conn.execute(statement)
    conn.execute("INSERT INTO notes VALUES (501, 'larger', %s)", (huge,))
    conn.execute("UPDATE notes SET body = body || ' zebra' WHERE id = 500")
    for method in ("text", "hybrid"):
        assert 40 in keys(conn, "'zebra', 200, method => %s", method)
    assert keys(conn, "'zebra', method => 'text'") == [40, 80, 120, 160, 200]
    assert conn.execute("SELECT count(*) FROM rowvec.context('notes', 'zebra')").fetchone()
