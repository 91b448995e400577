"""What an application's ALTERs do to an embedding: it goes on, or one sentence says what to run."""

from __future__ import annotations

import pytest

from support.backfills import Fill
from support.commands import Rowvec
from support.postgres import Database, refused
from support.reviews import Reviews

TEXTS = {"column": "body", "table": "body", "guarded": "body::json #>> '{}'"}


@pytest.fixture(params=TEXTS)
def kind(request: pytest.FixtureRequest, reviews: Reviews, fill: Fill) -> str:
    """A source that is filled: its vectors in a column, in chunks, of an input that may raise."""
    reviews.run("CREATE TABLE t (id int PRIMARY KEY, body text, note text)")
    reviews.run("INSERT INTO t SELECT i, '\"text ' || i || '\"' FROM generate_series(1, 9) AS i")
    kind = str(request.param)
    reviews.run(
        "SELECT rowvec.create_embedding('t', 'stand-in-small', %s, destination => %s)",
        TEXTS[kind],
        "table" if kind == "table" else "column",
    )
    assert fill("t").written == 9
    return kind


def goes_on(reviews: Reviews, fill: Fill, *, source: str = "t", body: str = "body") -> None:
    """A job fills what comes, nothing twice; SQL and search see all of it."""
    key = reviews.one("SELECT name FROM rowvec._key_columns(%s)", source)
    reviews.run(f"INSERT INTO {source} ({key}, {body}) VALUES (10, '\"ten\"')")
    reviews.run(f"UPDATE {source} SET {body} = '\"other\"' WHERE {key} = 1")
    summary = fill(source)
    assert (summary.written, summary.pending, summary.failed) == (2, 0, 0)
    assert reviews.one("SELECT count(*) FROM rowvec.search(%s, 'text', k => 20)", source) == 10
    assert reviews.one("SELECT min(similarity) FROM rowvec.verify(%s)", source) > 0.99
    assert reviews.one("SELECT count(*) FROM rowvec.similar(%s, '10', 3)", source) == 3
    assert reviews.run("SELECT rows, pending FROM rowvec.status").fetchone() == (10, 0)


FOLLOWED: dict[str, tuple[str, dict[str, str]]] = {
    "rename the table": ("ALTER TABLE t RENAME TO u", {"source": "u"}),
    "rename the key": ("ALTER TABLE t RENAME id TO number", {}),
    "rename the text": ("ALTER TABLE t RENAME body TO content", {"body": "content"}),
    "rename another column": ("ALTER TABLE t RENAME note TO remark", {}),
    "set schema": ("CREATE SCHEMA app; ALTER TABLE t SET SCHEMA app", {"source": "app.t"}),
    "type of the text": ("ALTER TABLE t ALTER body TYPE varchar(200)", {}),
    "type of another column": ("ALTER TABLE t ALTER note TYPE int USING 1", {}),
    "drop another column": ("ALTER TABLE t DROP note", {}),
    "add a column": ("ALTER TABLE t ADD more text DEFAULT 'm'", {}),
    "not null": ("ALTER TABLE t ALTER body SET NOT NULL", {}),
    "owner": ("CREATE ROLE {owner}; ALTER TABLE t OWNER TO {owner}", {}),
    "inherit": ("CREATE TABLE parent (id int, body text); ALTER TABLE t INHERIT parent", {}),
    "replica identity": ("ALTER TABLE t REPLICA IDENTITY FULL", {}),
    "publication": ("CREATE PUBLICATION p FOR TABLE t", {}),
    "tablespace": ("ALTER TABLE t SET TABLESPACE pg_default", {}),
    "cluster": ("CLUSTER t USING t_pkey", {}),
    "rewrite": ("ALTER TABLE t ADD stamp float8 DEFAULT random(); VACUUM FULL t", {}),
    "row level security": ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", {}),
}


@pytest.mark.parametrize("change", FOLLOWED)
def test_goes_on(
    *, reviews: Reviews, database: Database, kind: str, fill: Fill, change: str
) -> None:
    statements, after = FOLLOWED[change]
    owner = f"owner_{database.name}"
    try:
        for statement in statements.format(owner=owner).split(";"):
            reviews.connection.execute(statement.encode())
        goes_on(reviews, fill, **after)
    finally:
        if change == "owner":
            reviews.run("ALTER TABLE t OWNER TO postgres")
            reviews.run(f"DROP OWNED BY {owner}; DROP ROLE {owner}")
    assert kind in TEXTS


def test_another_type_of_the_key(reviews: Reviews, kind: str, fill: Fill) -> None:
    """The view over the chunks is in the way; the next job makes it anew, and changes their key."""
    change = "ALTER TABLE t ALTER id TYPE bigint"
    if kind == "table":
        with refused("0A000", "used by a view"):
            reviews.run(change)
        reviews.run("DROP VIEW t_embedding_rows")
    reviews.run(change)
    goes_on(reviews, fill)
    reviews.run("INSERT INTO t (id, body) VALUES (3000000000, '\"large\"')")
    assert fill("t").written == 1
    if kind == "table":
        found = 'SELECT count(*) FROM t_embedding_rows WHERE ("row").id = 3000000000'
        assert reviews.one(found) == 1


def test_a_renamed_column_does_not_stop_a_search(reviews: Reviews, kind: str) -> None:
    """Which needs the vectors alone; no job has run since."""
    reviews.run("ALTER TABLE t RENAME body TO content")
    assert reviews.one("SELECT count(*) FROM rowvec.search('t', 'text', k => 20)") == 9
    assert reviews.run("SELECT rows, pending FROM rowvec.status").fetchone() == (9, None)
    assert kind in TEXTS


def test_a_renamed_key_is_a_sentence_until_a_job_has_run(
    reviews: Reviews, kind: str, fill: Fill
) -> None:
    reviews.run("ALTER TABLE t RENAME id TO number")
    search = "SELECT count(*) FROM rowvec.search('t', 'text', k => 20)"
    if kind == "table":
        with refused("55000", "was renamed", "rowvec migrate"):
            reviews.run(search)
        fill("t")
    assert reviews.one(search) == 9


def test_a_dropped_text_is_a_sentence(reviews: Reviews, kind: str, fill: Fill) -> None:
    reviews.run("ALTER TABLE t DROP body")
    with pytest.raises(Exception, match="needs what is not there any more") as caught:
        fill("t")
    assert "rowvec.alter_embedding('t', input => " in caught.value.hint  # type: ignore[attr-defined]
    reviews.run("SELECT rowvec.alter_embedding('t', input => 'note')")
    reviews.run("UPDATE t SET note = 'n' || id")
    assert fill("t").written == 9
    assert kind in TEXTS


def test_what_is_derived_follows_the_key(
    reviews: Reviews, kind: str, rowvec: Rowvec, database: Database
) -> None:
    """A list of similar rows has the key twice; clusters have it once."""
    dsn = database.dsn
    derive = (("similarities", "t"), ("cluster", "t", "2"))
    for command in derive:
        assert rowvec(*command, "--dsn", dsn).returncode == 0
    if kind == "table":
        reviews.run("DROP VIEW t_embedding_rows")
    reviews.run("ALTER TABLE t ALTER id TYPE bigint")
    reviews.run("ALTER TABLE t RENAME id TO number")
    for command in (("backfill", "t"), *derive):
        done = rowvec(*command, "--dsn", dsn)
        assert done.returncode == 0, done.stderr
    columns = "SELECT number, other_number, cluster FROM t_similar JOIN t_cluster USING (number)"
    assert len(reviews.run(columns).fetchall()) > 0
