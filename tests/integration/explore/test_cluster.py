"""The cluster job: groups found, named and stored, from vectors that lie in known groups."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import psycopg

from support.commands import Rowvec
from support.postgres import Database

GROUPS = {
    "rivers": "the {0} river flows from the mountains to the sea, and its water is {0}",
    "prime": "the {0} number is prime, and a proof of the theorem is {0}",
    "violin": "the {0} violin plays the sonata, and the orchestra is {0}",
}


def texts(connection: psycopg.Connection, rows: int = 300) -> None:
    """Texts of three groups, sorted by group, and a vector of each near the group's own."""
    connection.execute(
        "CREATE TABLE texts (id int PRIMARY KEY, body text, topic text, embedding vector(8),"
        " embedding_of uuid)"
    )
    connection.execute(
        "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
        " VALUES ('texts', 'embedding', 'stand-in-small', 'body', 8)"
    )
    connection.execute("SELECT setseed(0.5)")
    for number, (topic, body) in enumerate(GROUPS.items()):
        connection.execute(
            "INSERT INTO texts SELECT i, replace(%s, '{0}', 'w' || i), %s, ("
            " SELECT array_agg(CASE WHEN d = %s THEN 3 ELSE 0 END + random())"
            " FROM generate_series(1, 8) AS d WHERE i > 0)::vector"
            " FROM generate_series(%s::int, %s) AS i",
            (body, topic, number + 1, number * 1000 + 1, number * 1000 + rows // 3 + number),
        )


def run(rowvec: Rowvec, dsn: str, *arguments: str) -> dict[str, Any]:
    done: subprocess.CompletedProcess[str] = rowvec("cluster", *arguments, "--json", "--dsn", dsn)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_groups_are_found_named_and_stored(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection)
    answer = run(rowvec, database.dsn, "texts", "3")
    assert [one["rows"] for one in answer["clusters"]] == [102, 101, 100]
    words = [one["words"] for one in answer["clusters"]]
    assert ["violin" in words[0], "prime" in words[1], "river" in words[2]] == [True] * 3
    assert not any("the" in one["name"].split(", ") for one in answer["clusters"])
    assert connection.execute(
        "SELECT topic, array_agg(DISTINCT cluster) FROM texts JOIN texts_cluster USING (id)"
        " GROUP BY topic ORDER BY topic"
    ).fetchall() == [("prime", [2]), ("rivers", [3]), ("violin", [1])]
    central = answer["clusters"][0]["central"]
    assert central == sorted(central, key=lambda row: row["distance"])
    assert all("violin" in row["text"] for row in central)
    # The centroid is the mean of its rows, and a row's distance is the one to it.
    assert connection.execute(
        "SELECT bool_and(abs(distance - (embedding <=> centroid)) < 1e-5)"
        " FROM texts JOIN texts_cluster USING (id) JOIN texts_centroid USING (cluster)"
    ).fetchone() == (True,)


def test_few_texts_are_not_named_by_stop_words_of_their_language(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection, 30)
    answer = run(rowvec, database.dsn, "texts", "3")
    words = {word for one in answer["clusters"] for word in one["words"]}
    # Each of these stands in one group alone, and is as rare as what that is about.
    assert words.isdisjoint({"of", "from", "to", "its"})
    assert words >= {"river", "prime", "violin"}


def test_another_run_replaces_the_first(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection)
    run(rowvec, database.dsn, "texts", "5")
    connection.execute("DELETE FROM texts WHERE topic = 'prime'")
    answer = run(rowvec, database.dsn, "texts", "2")
    assert [one["rows"] for one in answer["clusters"]] == [102, 100]
    counted = connection.execute(
        "SELECT (SELECT count(*) FROM texts_cluster), (SELECT count(*) FROM texts_centroid)"
    ).fetchone()
    assert counted == (202, 2)


def test_a_composite_key_and_a_named_embedding(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection, 30)
    connection.execute("ALTER TABLE texts DROP CONSTRAINT texts_pkey")
    connection.execute('ALTER TABLE texts RENAME topic TO "a ""topic"" %"')
    connection.execute('ALTER TABLE texts ADD PRIMARY KEY ("a ""topic"" %", id)')
    connection.execute("ALTER TABLE texts RENAME embedding TO by_body")
    connection.execute("UPDATE rowvec.embedding SET name = 'by_body'")
    answer = run(rowvec, database.dsn, "texts", "3", "--embedding", "by_body")
    assert (answer["table"], answer["centroids"]) == (
        "texts_by_body_cluster", "texts_by_body_centroid",
    )  # fmt: skip
    assert set(answer["clusters"][0]["central"][0]["key"]) == {'a "topic" %', "id"}


def test_what_cannot_be_clustered_is_refused(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection, 30)
    done = rowvec("cluster", "texts", "40", "--dsn", database.dsn)
    assert done.returncode == 1
    assert "too few for 40 clusters" in done.stderr
    connection.execute("CREATE TABLE texts_cluster ()")
    done = rowvec("cluster", "texts", "3", "--dsn", database.dsn)
    assert done.returncode == 1
    assert "not one that rowvec made" in done.stderr
    assert rowvec("cluster", "texts", "1", "--dsn", database.dsn).returncode == 2


def test_equal_rows_make_no_empty_cluster(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection, 30)
    connection.execute("UPDATE texts SET embedding = '[1,0,0,0,0,0,0,0]' WHERE id < 2000")
    connection.execute("UPDATE texts SET embedding = '[0,1,0,0,0,0,0,0]' WHERE id >= 2000")
    answer = run(rowvec, database.dsn, "texts", "3")
    assert [one["rows"] for one in answer["clusters"]] == [21, 12]


def test_the_vectors_go_with_the_embedding(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection, 30)
    run(rowvec, database.dsn, "texts", "3")
    connection.execute("SELECT rowvec.drop_embedding('texts')")
    assert connection.execute(
        "SELECT to_regclass('texts_cluster'), to_regclass('texts_centroid')"
    ).fetchone() == (None, None)
