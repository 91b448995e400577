"""embed and its family in SQL: values, NULLs, kwargs, and one clear sentence for every mistake."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import PostgresCluster
from support.models import MINILM
from support.postgres import Database, refused
from support.workers import Worker, point_at

SEED = [-0.03447725, 0.03102325, 0.00673496, 0.02610892, -0.03936201]


def one(connection: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.minilm
def test_seed_value(connection: psycopg.Connection) -> None:
    vector = json.loads(one(connection, "SELECT rowvec.embed(%s, 'Hello world')", MINILM))
    assert vector[:5] == pytest.approx(SEED, abs=1e-5)
    assert len(vector) == 384


@pytest.mark.minilm
def test_alias_is_the_same_model(connection: psycopg.Connection) -> None:
    assert one(
        connection,
        "SELECT rowvec.embed('all-MiniLM-L6-v2', 'one text') = rowvec.embed(%s, 'one text')",
        MINILM,
    )


def test_null_needs_no_worker(migrated_database: Database) -> None:
    with migrated_database.connect() as connection:
        assert one(connection, "SELECT rowvec.embed('stand-in', NULL)") is None
        assert one(connection, "SELECT rowvec.count_tokens('stand-in', NULL)") is None
        assert one(connection, "SELECT count(*) FROM rowvec.embed_batch('stand-in', '{}')") == 0
        assert one(connection, "SELECT count(*) FROM rowvec.embed_batch('stand-in', NULL)") == 0


@pytest.mark.parametrize("kwargs", ["NULL", "'{}'", """'{"timeout_ms": 20000}'"""])
def test_kwargs_that_change_no_vector(connection: psycopg.Connection, kwargs: str) -> None:
    assert one(
        connection,
        f"SELECT rowvec.embed('stand-in', 'x', {kwargs}) = rowvec.embed('stand-in', 'x')",
    )


TEXTS = {
    "empty": "",
    "blank": " \t\n ",
    "100 kB": "a long text " * 8500,
    "emoji": "🐘🧮 ❤️‍🔥",
    "right to left": "مرحبا بالعالم שלום",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028",
    "quotes": """'; DROP TABLE x; -- "\\' $1 %s {"v":1}""",
    "like a path": "../../etc/passwd",
    "like a URL": "https://example.com/a.png",
    "noncharacters": "\ufffe\U0010ffff\ufeff",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_a_text(connection: psycopg.Connection, text: str) -> None:
    """One vector, the same alone and in a batch, another than its neighbour's."""
    alone = one(connection, "SELECT rowvec.embed('stand-in', %s)::text", text)
    batch = connection.execute(
        "SELECT v::text FROM rowvec.embed_batch('stand-in', %s) AS v", ([text, "!" + text, text],)
    ).fetchall()
    assert [row[0] for row in batch] == [alone, batch[1][0], alone]
    assert batch[1][0] != alone


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.minilm
def test_any_text_is_a_text_to_a_real_model(connection: psycopg.Connection, text: str) -> None:
    length = one(connection, "SELECT vector_norm(rowvec.embed(%s, %s))", MINILM, text)
    assert length == pytest.approx(1, abs=1e-5)


def test_batch_keeps_order_and_nulls(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT v::text, v = rowvec.embed('stand-in', t) "
        "FROM ROWS FROM (unnest(%(t)s::text[]), rowvec.embed_batch('stand-in', %(t)s)) AS r(t, v)",
        {"t": ["b", None, "a", "b", None]},
    ).fetchall()
    assert [row[1] for row in rows] == [True, None, True, True, None]
    assert rows[0] == rows[3]


def test_batch_is_one_request(connection: psycopg.Connection) -> None:
    count = "SELECT requests FROM rowvec.models() WHERE name = 'stand-in'"
    before = one(connection, count)
    connection.execute(
        "SELECT * FROM rowvec.embed_batch('stand-in', "
        "ARRAY(SELECT 'text ' || g FROM generate_series(1, 50) AS g))"
    )
    assert one(connection, count) == before + 1


def test_models(connection: psycopg.Connection) -> None:
    listed = connection.execute("SELECT name, kind, dimensions, max_tokens FROM rowvec.models()")
    assert ("stand-in-small", "stand-in", 8, 16) in listed.fetchall()


@pytest.mark.minilm
def test_count_tokens(connection: psycopg.Connection) -> None:
    assert one(connection, "SELECT rowvec.count_tokens(%s, 'Hello world')", MINILM) == 4


def test_cosine_similarity(connection: psycopg.Connection) -> None:
    assert one(connection, "SELECT rowvec.cosine_similarity('[1,0]', '[0,2]')") == 0
    assert one(connection, "SELECT rowvec.cosine_similarity('[1,1]', '[-2,-2]')") == pytest.approx(
        -1
    )
    assert one(connection, "SELECT rowvec.cosine_similarity(NULL, '[1,0]')") is None


def test_embed_rows(connection: psycopg.Connection) -> None:
    """In order, over more rows than one request has, NULL texts NULL, keys as text."""
    rows = connection.execute(
        "SELECT key, embedding = rowvec.embed('stand-in-small', 'text ' || key) "
        "FROM rowvec.embed_rows('stand-in-small', "
        "'SELECT g, CASE WHEN g <> 300 THEN ''text '' || g END FROM generate_series(1, 600) AS g "
        "-- the end;')"
    ).fetchall()
    assert [key for key, _ in rows] == [str(g) for g in range(1, 601)]
    assert [same for _, same in rows] == [True if g != 300 else None for g in range(1, 601)]


def test_a_row_that_fails_is_named_by_its_key(connection: psycopg.Connection) -> None:
    """Its number counts within a batch that the caller knows nothing of."""
    texts = "SELECT ''key '' || i, CASE i WHEN 300 THEN ''refuse me'' ELSE ''fine '' || i END"
    rows = f"{texts} FROM generate_series(1, 400) AS i"
    with refused("22023", "refuses this text") as refusal:
        connection.execute(f"SELECT * FROM rowvec.embed_rows('refusing', '{rows}')")
    assert json.loads(refusal.detail)["key"] == "key 300"
    with refused("42501", "no 'nope'") as refusal:
        connection.execute("SELECT * FROM rowvec.embed_rows('nope', 'SELECT 1, ''x''')")
    assert refusal.detail == ""


def test_embed_rows_of_no_rows(connection: psycopg.Connection) -> None:
    statement = "SELECT count(*) FROM rowvec.embed_rows('stand-in', 'SELECT 1, ''x'' WHERE false')"
    assert one(connection, statement) == 0


def test_embed_rows_means_what_the_caller_means(connection: psycopg.Connection) -> None:
    connection.execute("CREATE SCHEMA mine")
    connection.execute("CREATE TABLE mine.notes AS SELECT 7 AS id, 'a note' AS embedding")
    connection.execute("SET search_path = mine, public")
    statement = "SELECT key FROM rowvec.embed_rows('stand-in', 'SELECT id, embedding FROM notes')"
    assert one(connection, statement) == "7"


def test_embed_rows_refuses_other_than_two_columns(connection: psycopg.Connection) -> None:
    for query in ("SELECT 1", "SELECT 1, 2, 3", "SELECT"):
        with refused("42601", "must have two columns"):
            connection.execute("SELECT * FROM rowvec.embed_rows('stand-in', %s)", (query,))


@pytest.mark.parametrize(
    ("query", "sqlstate"),
    [
        ("SELECT 1, 'x'; DROP TABLE kept", "42P11"),
        ("SELECT 1, 'x') AS q(k, t); DROP TABLE kept; SELECT (1", "42601"),
        ("DROP TABLE kept", "42P11"),
        ("DELETE FROM kept RETURNING 1, 'x'", "0A000"),
        ("SELECT 1, 'x", "42601"),
        ("SELECT id, nothing FROM kept", "42703"),
    ],
)
def test_embed_rows_takes_one_query(
    connection: psycopg.Connection, query: str, sqlstate: str
) -> None:
    connection.execute("CREATE TABLE kept (id int)")
    with refused(sqlstate):
        connection.execute("SELECT * FROM rowvec.embed_rows('stand-in', %s)", (query,))
    assert one(connection, "SELECT count(*) FROM kept") == 0


MISTAKES = {
    "unknown model": ("embed('nope', 'x')", "42501", "'nope'", "stand-in"),
    "a path as model": ("embed('../../etc', 'x')", "42501", "", "stand-in"),
    "unknown kwargs": ("""embed('stand-in', 'x', '{"bad": 1}')""", "22023", "'bad'", "normalize"),
    "kwargs no object": ("embed('stand-in', 'x', '[1]')", "22023", "not array", ""),
    "no number": (
        """embed('stand-in', 'x', '{"timeout_ms": "soon"}')""", "22023", "timeout_ms", "",
    ),
    "zero": ("""embed('stand-in', 'x', '{"timeout_ms": 0}')""", "22023", "timeout_ms", ""),
    "no model": ("embed(NULL, 'x')", "22004", "model must not be NULL", "models()"),
    "two dimensions": (
        "embed_batch('stand-in', '{{a,b},{c,d}}')", "22023", "one-dimensional", "",
    ),
    "text too large": ("embed('stand-in', repeat('x', 9000000))", "54000", "", ""),
    "request too large": (
        "embed_batch('stand-in', array_fill(repeat('x', 8000000), ARRAY[9]))", "54000", "", "",
    ),
    "longer than the model": (
        """embed('stand-in-small', repeat('x ', 99), '{"on_truncate": "error"}')""", "22001",
        "the text has 99 tokens, the model reads 16", "on_truncate",
    ),
    "refused text": (
        "embed_batch('refusing', ARRAY['fine', 'refuse me'])", "22023", "refuses this text", "",
    ),
    "deadline": ("""embed('slow', 'new', '{"timeout_ms": 1}')""", "57000", "", "timeout_ms"),
    "tokens of an unknown model": ("count_tokens('nope', 'x')", "42501", "'nope'", ""),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(
    connection: psycopg.Connection, mistake: tuple[str, str, str, str]
) -> None:
    """The right SQLSTATE and words, no name of a connection, and the next call is right."""
    call, sqlstate, message, hint = mistake
    # A deadline that passes while a model loads has words of its own.
    connection.execute("SELECT rowvec.embed('slow', 'it is loaded')")
    expected = one(connection, "SELECT rowvec.embed('stand-in', 'before')::text")
    with refused(sqlstate, message, hint) as refusal:
        connection.execute(f"SELECT rowvec.{call}")
    assert "rowvec_" not in refusal.everything
    assert "\n" not in refusal.message
    assert one(connection, "SELECT rowvec.embed('stand-in', 'before')::text") == expected


def test_an_error_never_shows_the_text(connection: psycopg.Connection) -> None:
    with refused("22023") as refusal:
        connection.execute("SELECT rowvec.embed('refusing', %s)", ("a secret: refuse me",))
    assert "secret" not in refusal.everything


def test_works_in_a_read_only_transaction(connection: psycopg.Connection) -> None:
    connection.execute("BEGIN READ ONLY")
    assert one(connection, "SELECT rowvec.embed('stand-in', 'x') IS NOT NULL")
    connection.execute("COMMIT")


def test_works_in_a_database_of_another_encoding(cluster: PostgresCluster, worker: Worker) -> None:
    """Texts travel in the database's encoding, vectors and messages come back as ASCII."""
    name = "latin"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING LATIN1 "
            "LOCALE_PROVIDER libc LOCALE 'C'"
        )
    try:
        migrate(cluster.dsn(name))

        latin = Database(name, cluster)
        point_at(latin, worker)
        with latin.connect() as connection:
            vector = one(connection, "SELECT rowvec.embed('stand-in', 'déjà vu')::text")
        with psycopg.connect(worker.conninfo, autocommit=True) as direct:
            request = {"v": 1, "op": "embed", "model": "stand-in", "inputs": ["déjà vu"]}
            answer = direct.pgconn.exec_(json.dumps(request).encode())
            assert answer.get_value(0, 0) == vector.encode()
    finally:
        with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
