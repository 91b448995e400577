"""Embeddings whose destination is a table of chunks."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from rowvec.backfill.report import LogReporter, Summary
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.definition import Definition
from rowvec.db.session import open_session
from rowvec.db.source import Range, Source
from rowvec.db.worker_address import worker_conninfo
from support.backfills import Fill
from support.postgres import Database, refused


@pytest.fixture
def fill(database: Database) -> Fill:
    """Runs a backfill of this process to its end."""

    def run(source: str, **settings: Any) -> Summary:
        built = Settings.build(dsn=database.dsn, **settings)
        return asyncio.run(
            backfill(
                built, BackfillRequest(source), worker=worker_conninfo(built),
                reporter=LogReporter(), stop=asyncio.Event(),
            )
        )  # fmt: skip

    return run


def one(connection: psycopg.Connection, statement: str, *parameters: Any) -> Any:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def documents(connection: psycopg.Connection, key: str = "id bigint", **options: str) -> None:
    connection.execute(f"CREATE TABLE documents ({key} PRIMARY KEY, body text)")
    arguments = "".join(f", {name} => {value}" for name, value in options.items())
    connection.execute(
        "SELECT rowvec.create_embedding('documents', 'stand-in-small', 'body',"
        f" destination => 'table'{arguments})"
    )


def words(first: int, count: int) -> str:
    return " ".join(f"w{number}" for number in range(first, first + count))


WRONG = """
    SELECT count(*) FROM documents AS d
    FULL JOIN (
        SELECT id, array_agg((ordinality, chunk, start_char, end_char, tokens)::text
                   ORDER BY ordinality) AS chunks,
            bool_and(embedding = rowvec.embed('stand-in-small', chunk)) AS is_right
        FROM documents_embedding GROUP BY id
    ) AS c USING (id)
    WHERE c.chunks IS DISTINCT FROM (
        SELECT array_agg((ordinality, chunk, start_char, end_char, tokens)::text
            ORDER BY ordinality)
        FROM rowvec.chunk('stand-in-small', d.body, '{"max_tokens": 16, "overlap": 2}'))
    OR NOT c.is_right OR d.embedding_of IS NULL
"""


def test_each_text_has_the_chunks_that_the_worker_cuts(
    connection: psycopg.Connection, fill: Fill
) -> None:
    documents(connection)
    connection.execute(
        "INSERT INTO documents SELECT i, CASE WHEN i % 5 = 0 THEN ' ' WHEN i % 7 = 0 THEN NULL"
        " ELSE repeat('wörd ' || i || '. ', i) END FROM generate_series(1, 60) AS i"
    )
    summary = fill("documents", commit_rows=9)
    assert summary.pending == 0
    assert one(connection, "SELECT max(ordinality) FROM documents_embedding") > 5
    assert one(connection, WRONG) == 0
    # Old chunks are replaced, and go with their row or its text.
    connection.execute("UPDATE documents SET body = repeat(body, 2) WHERE id % 3 = 0")
    connection.execute("UPDATE documents SET body = NULL WHERE id = 4")
    connection.execute("DELETE FROM documents WHERE id = 8")
    connection.execute("UPDATE documents SET id = -9 WHERE id = 9")
    fill("documents")
    assert one(connection, WRONG) == 0
    assert one(connection, "SELECT count(*) FROM documents_embedding WHERE id IN (4, 8, 9)") == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id text", "'Ünï %s ' || i"),
        ("id uuid", "md5(i::text)::uuid"),
        ("id numeric(12, 3)", "i / 7.0"),
        ('"odd ""name %" timestamptz', "'2024-10-27'::date + i * '7.7 min'::interval"),
        ("id char(8)", "i::text"),
    ],
)
def test_whatever_the_key(connection: psycopg.Connection, fill: Fill, key: str, value: str) -> None:
    documents(connection, key)
    connection.execute(
        f"INSERT INTO documents SELECT {value}, 'text ' || i FROM generate_series(1, 30) AS i"
    )
    assert fill("documents", commit_rows=7).written == 30
    assert (
        one(
            connection,
            "SELECT count(*) FROM documents_embedding_rows AS c"
            " WHERE c.chunk = (c.row).body"
            " AND c.embedding = rowvec.embed('stand-in-small', c.chunk)",
        )
        == 30
    )


def test_old_chunks_are_served_until_the_new_ones_are_there(
    connection: psycopg.Connection, fill: Fill
) -> None:
    documents(connection)
    connection.execute("INSERT INTO documents VALUES (1, 'one'), (2, 'two')")
    fill("documents")
    connection.execute("UPDATE documents SET body = 'three' WHERE id = 1")
    assert one(connection, "SELECT chunk FROM documents_embedding WHERE id = 1") == "one"
    fill("documents")
    assert one(connection, "SELECT chunk FROM documents_embedding WHERE id = 1") == "three"


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (
            {"chunk": "'{\"words\": 3}'"},
            'chunk has no option "words"',
            "it has: tokens, overlap, split",
        ),
        ({"chunk": '\'{"tokens": "a"}\''}, "tokens of chunk must be a whole number", ""),
        ({"chunk": "'[]'"}, "chunk must be a JSON object", ""),
        ({"on_truncate": "'mean'"}, "on_truncate must be chunk", ""),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_made(
    connection: psycopg.Connection, options: dict[str, str], message: str, hint: str
) -> None:
    with refused("22023", message, hint):
        documents(connection, **options)
    assert one(connection, "SELECT count(*) FROM rowvec.derived") == 0


@pytest.mark.parametrize(
    ("chunk", "detail"),
    [
        ('{"tokens": 17}', "max_tokens 17 is more than the 16"),
        ('{"tokens": 8, "overlap": 5}', "overlap 5 is more than half of max_tokens 8"),
        ('{"split": "page"}', "border must be one of"),
    ],
)
def test_what_the_worker_does_not_take_is_said_in_its_words(
    connection: psycopg.Connection, chunk: str, detail: str
) -> None:
    with refused("22023", "cannot cut texts as chunk says", "split of chunk is its border") as no:
        documents(connection, chunk=f"'{chunk}'")
    assert detail in no.detail
    assert one(connection, "SELECT count(*) FROM rowvec.derived") == 0


def test_it_is_dropped_with_its_embedding(connection: psycopg.Connection) -> None:
    documents(connection)
    # Neither the table nor the view stands in the way of a change.
    connection.execute("ALTER TABLE documents ADD COLUMN more int")
    connection.execute("ALTER TABLE documents ALTER COLUMN more TYPE bigint")
    connection.execute("ALTER TABLE documents DROP COLUMN more")
    connection.execute("SELECT rowvec.drop_embedding('documents')")
    assert one(connection, "SELECT to_regclass('documents_embedding')") is None
    assert one(connection, "SELECT to_regclass('documents_embedding_rows')") is None


def test_a_batch_of_long_texts_is_bounded_by_their_bytes(
    connection: psycopg.Connection, database: Database
) -> None:
    documents(connection)
    connection.execute(
        "INSERT INTO documents SELECT i, repeat('0123456789', 500000)"
        " FROM generate_series(1, 9) AS i"
    )

    async def read() -> list[list[int]]:
        async with open_session(database.dsn, "test") as session:
            source = Source(await Definition.read(session, "documents", None))
            batches, after = [], Range()
            while rows := await source.read(session, after, 100):
                batches.append([int(row.key[0]) for row in rows])
                after = Range(rows[-1].key)
            return batches

    assert asyncio.run(read()) == [[1, 2], [3, 4], [5, 6], [7, 8], [9]]


def test_chunks_of_a_partitioned_table_follow_rows_from_partition_to_partition(
    connection: psycopg.Connection, fill: Fill
) -> None:
    connection.execute(
        "CREATE TABLE documents (id bigint PRIMARY KEY, body text) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE high PARTITION OF documents FOR VALUES FROM (100) TO (200);"
        "INSERT INTO documents SELECT i, 'text ' || i FROM generate_series(90, 109) AS i"
    )
    connection.execute(
        "SELECT rowvec.create_embedding('documents', 'stand-in-small', 'body',"
        " on_truncate => 'chunk')"
    )
    assert fill("documents", commit_rows=3).written == 20
    connection.execute("UPDATE documents SET id = id + 50 WHERE id < 100")
    found = "SELECT count(*) FROM documents_embedding JOIN documents USING (id) WHERE chunk = body"
    assert one(connection, found) == 20
    connection.execute("ALTER TABLE documents DETACH PARTITION low")
    assert fill("documents").pending == 0


def test_verify_finds_the_wrong_chunk(connection: psycopg.Connection, fill: Fill) -> None:
    documents(connection, key='"odd ""name %" text')
    connection.execute(
        "INSERT INTO documents SELECT 'no ' || i,"
        " CASE i WHEN 1 THEN ' ' ELSE repeat('word ', i) END FROM generate_series(1, 40) AS i"
    )
    fill("documents")
    connection.execute("INSERT INTO documents VALUES ('pending', 'not embedded yet')")
    found = "SELECT key, similarity FROM rowvec.verify('documents')"
    rows = connection.execute(found).fetchall()
    # The blank text has no chunks, the last row none yet.
    assert len(rows) == 39
    assert rows[0][1] == pytest.approx(1)
    connection.execute(
        "UPDATE documents_embedding SET embedding = rowvec.embed('stand-in-small', 'another')"
        ' WHERE "odd ""name %" = \'no 40\' AND ordinality = 3'
    )
    connection.execute(
        "UPDATE documents_embedding SET start_char = start_char + 1"
        ' WHERE "odd ""name %" = \'no 39\''
    )
    rows = connection.execute(found).fetchall()
    assert rows[0] == ("no 39", 0)
    assert (rows[1][0], rows[1][1] < 0.9, rows[2][1] > 0.999) == ("no 40", True, True)


def test_another_way_to_cut(connection: psycopg.Connection, fill: Fill) -> None:
    documents(connection)
    connection.execute(
        "INSERT INTO documents SELECT i, repeat('word ' || i || '. ', i)"
        " FROM generate_series(1, 30) AS i"
    )
    fill("documents")
    connection.execute("SELECT rowvec.create_embedding('documents', 'stand-in-small', 'body', 'e')")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="one vector a row"):
        connection.execute("SELECT rowvec.alter_embedding('documents', 'e', chunk => '{}')")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"tokens|too"):
        connection.execute(
            "SELECT rowvec.alter_embedding('documents', 'embedding', chunk => '{\"tokens\": 999}')"
        )
    connection.execute("SELECT rowvec.drop_embedding('documents', 'e')")
    # What it names changes, all rows are due, and the old chunks serve on.
    before = one(connection, "SELECT count(*) FROM documents_embedding")
    alter = "SELECT rowvec.alter_embedding('documents', chunk => '{\"tokens\": 8, \"overlap\": 0}')"
    connection.execute(alter)
    assert one(connection, "SELECT chunk ->> 'split' FROM rowvec.embedding") == "paragraph"
    assert one(connection, "SELECT pending FROM rowvec.status") == 30
    assert one(connection, "SELECT count(*) FROM documents_embedding") == before
    assert fill("documents").written == 30
    assert one(connection, "SELECT max(tokens) FROM documents_embedding") <= 8
    assert one(connection, "SELECT min(similarity) FROM rowvec.verify('documents')") > 0.999
    connection.execute(alter)
    assert one(connection, "SELECT pending FROM rowvec.status") == 0


def test_verify_of_means(connection: psycopg.Connection, fill: Fill) -> None:
    connection.execute("CREATE TABLE documents (id int PRIMARY KEY, body text)")
    connection.execute(
        "SELECT rowvec.create_embedding('documents', 'stand-in-small', 'body',"
        " on_truncate => 'mean')"
    )
    connection.execute(
        "INSERT INTO documents SELECT i, repeat('word ' || i || '. ', i)"
        " FROM generate_series(1, 30) AS i"
    )
    fill("documents")
    assert one(connection, "SELECT min(similarity) FROM rowvec.verify('documents')") > 0.999


def test_pairs_of_rows_of_chunks_are_those_of_similar(
    connection: psycopg.Connection, fill: Fill
) -> None:
    """Each row asks with the mean of its chunks, and is found by its nearest."""
    connection.execute(
        "CREATE TABLE documents (shop int, id int, body text, PRIMARY KEY (shop, id))"
    )
    connection.execute(
        "SELECT rowvec.create_embedding('documents', 'stand-in-small', 'body',"
        " destination => 'table')"
    )
    for number in range(20):
        connection.execute(
            "INSERT INTO documents VALUES (1, %s, %s)", (number, words(number * 7, 5 + number * 3))
        )
    connection.execute("INSERT INTO documents VALUES (1, 99, NULL)")
    fill("documents")
    assert one(connection, "SELECT count(*) FROM documents_embedding") > 40
    for arguments in ("", ", options => '{\"exact\": true}'", ", filter => 'id < 9'"):
        pairs = connection.execute(
            "SELECT key, rank, other_key, distance"
            f" FROM rowvec.similar_pairs('documents', 4{arguments})"
            " ORDER BY (key ->> 'id')::int, rank"
        ).fetchall()
        single = connection.execute(
            "SELECT k, s.rank, s.key, s.distance"
            " FROM (SELECT jsonb_build_object('shop', shop, 'id', id) AS k FROM documents"
            f" WHERE id < {9 if 'filter' in arguments else 99}) AS d,"
            f" rowvec.similar('documents', k, 4{arguments}) AS s"
            " ORDER BY (k ->> 'id')::int, s.rank"
        ).fetchall()
        assert pairs == single
        assert len(pairs) == (36 if "filter" in arguments else 80)
