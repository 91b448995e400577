"""Faults 36, 37, 43, 45, 48 to 50, 53 to 56: what happens to rows while and between jobs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from rowvec.embedded.postgres import PostgresCluster
from support.commands import StartRowvec
from support.endpoints import Gate
from support.hashes import row_hash
from support.postgres import CreateDatabase, Database, refused
from support.reviews import Reviews
from support.waiting import eventually

Backfill = Callable[..., dict[str, Any]]


def test_fault_36_a_row_that_changes_while_it_is_embedded(
    reviews: Reviews, start: StartRowvec, gate: Gate
) -> None:
    reviews.make(60, "gated")
    gate.hold()
    job = start("backfill", "reviews", "--json", "--commit-rows", "20")
    eventually(lambda: gate.waiting)
    reviews.run("UPDATE reviews SET body = 'changed ' || body WHERE id % 3 = 0")
    gate.open()
    summary, _ = job.end()
    assert summary["changed"] > 0
    assert summary["pending"] == 0
    assert reviews.are_right()


def test_fault_37_a_row_that_is_deleted_while_it_is_embedded(
    reviews: Reviews, start: StartRowvec, gate: Gate
) -> None:
    reviews.make(60, "gated")
    gate.hold()
    job = start("backfill", "reviews", "--json", "--commit-rows", "20")
    eventually(lambda: gate.waiting)
    reviews.run("DELETE FROM reviews WHERE id % 3 = 0")
    gate.open()
    summary, _ = job.end()
    assert summary["changed"] > 0
    assert (reviews.filled(), summary["failed"], summary["pending"]) == (40, 0, 0)
    assert reviews.are_right()


def test_fault_43_what_others_have_locked_costs_nobody_else(
    database: Database, reviews: Reviews, start: StartRowvec
) -> None:
    """A lock that does not come (55P03) ends a batch; its halves go on until the row is alone."""
    reviews.make(60)
    with database.connect() as other:
        with other.transaction():
            other.execute("SELECT FROM reviews WHERE id = 17 FOR UPDATE")
            job = start("backfill", "reviews", "--json", "--commit-rows", "8")
            eventually(lambda: reviews.filled() == 59)
        assert job.end()[0]["failed"] == 0
    if reviews.filled() < 60:
        start("backfill", "reviews").end()
    assert reviews.filled() == 60
    assert reviews.are_right()


def test_fault_45_a_row_that_is_always_refused(reviews: Reviews, backfill: Backfill) -> None:
    reviews.make(100, "refusing")
    reviews.run("UPDATE reviews SET body = 'refuse me' WHERE id IN (1, 50, 100)")
    first = backfill("--commit-rows", "20")
    assert (first["written"], first["failed"], first["pending"]) == (97, 3, 0)
    assert {failure["sqlstate"] for failure in first["failures"]} == {"22023"}
    asked = "SELECT requests FROM rowvec.models() WHERE name = 'refusing'"
    before = reviews.one(asked)
    assert backfill()["failed"] == 0
    # One call that every job makes, to see whether the model is there.
    assert reviews.one(asked) - before <= 1
    reviews.run("UPDATE reviews SET body = 'good' WHERE id = 50")
    assert backfill()["written"] == 1
    assert reviews.one("SELECT count(*) FROM rowvec.failure") == 2
    assert reviews.one("SELECT max(attempts) FROM rowvec.failure") == 1


KEYS = {
    "composite, uuid and array": (
        '"select" uuid, "K ""%s" text[], day date', '"select", "K ""%s", day',
        "md5(i::text)::uuid, ARRAY[i::text, '{\"'], '2024-01-01'::date - i",
    ),
    "text": ("id text", "id", "'Ünï''\"\\ %s ' || md5(i::text)"),
    "gappy and negative": ("id bigint", "id", "(i - 100) * 7919"),
    "array": ("id int[]", "id", "ARRAY[i % 7, i]"),
    "range": ("id int4range", "id", "int4range(i, i + 5)"),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("by", ["job", "sql"])
def test_fault_48_every_row_once_whatever_its_key(
    reviews: Reviews, backfill: Backfill, key: str, by: str
) -> None:
    columns, names, values = KEYS[key]
    reviews.run('CREATE SCHEMA "My %"')
    reviews.connection.execute(
        f'CREATE TABLE "My %"."order" ({columns}, "user" text, PRIMARY KEY ({names}))'
    )
    reviews.connection.execute(
        f"""INSERT INTO "My %"."order" SELECT {values}, 't ' || i"""
        " FROM generate_series(1, 200) AS i"
    )
    source = '"My %"."order"'
    reviews.run("SELECT rowvec.create_embedding(%s, 'stand-in-small', %s)", source, '"user"')
    if by == "job":
        assert backfill("--commit-rows", "7", source=source)["written"] == 200
    else:
        reviews.run("CALL rowvec.backfill(%s, commit_rows => 7)", source)
    assert reviews.are_right(table=source.replace("%", "%%"), text='"user"')
    key = reviews.one("SELECT key FROM rowvec.search(%s, 't 7', k => 1)", source)
    assert len(reviews.run("SELECT FROM rowvec.similar(%s, %s::jsonb, 3)", source,
                           Jsonb(key)).fetchall()) == 3  # fmt: skip


def test_fault_48_partitions_with_row_level_security(reviews: Reviews, backfill: Backfill) -> None:
    """Through the parent; the owner's jobs see all rows, or say that they do not."""
    reviews.run("CREATE TABLE t (id int, day date, body text, PRIMARY KEY (id, day))"
                " PARTITION BY RANGE (day)")  # fmt: skip
    for year in (2023, 2024):
        reviews.run(f"CREATE TABLE t{year} PARTITION OF t"
                    f" FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')")  # fmt: skip
    reviews.run("INSERT INTO t SELECT i, '2023-06-01'::date + i, 't ' || i"
                " FROM generate_series(1, 400) AS i")  # fmt: skip
    reviews.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    reviews.run("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    assert backfill(source="t")["written"] == 400
    assert reviews.are_right(table="t")


def test_fault_49_no_primary_key(reviews: Reviews) -> None:
    reviews.run("CREATE TABLE keyless (body text UNIQUE)")
    with refused("42P16", "no primary key", "ADD PRIMARY KEY"):
        reviews.run("SELECT rowvec.create_embedding('keyless', 'stand-in-small', 'body')")


CHANGES = {
    "key update": "UPDATE reviews SET id = -id WHERE id < 30",
    "TRUNCATE": "TRUNCATE reviews",
    "COPY": "COPY",
    "replica role": """SET session_replication_role = replica;
        INSERT INTO reviews SELECT i, 'r ' || i FROM generate_series(201, 230) AS i;
        UPDATE reviews SET body = body || '!' WHERE id % 4 = 0;
        RESET session_replication_role""",
    "savepoints": """BEGIN; UPDATE reviews SET body = 'kept' WHERE id = 1; SAVEPOINT s;
        UPDATE reviews SET body = 'undone' WHERE id < 50; ROLLBACK TO s; COMMIT""",
}


@pytest.mark.parametrize("change", CHANGES)
def test_fault_50_converges_by_itself(reviews: Reviews, backfill: Backfill, change: str) -> None:
    reviews.make(100)
    backfill()
    if change == "COPY":
        with reviews.connection.cursor().copy("COPY reviews (id, body) FROM STDIN") as copy:
            for number in range(300, 340):
                copy.write_row((number, f"copied {number}"))
    else:
        for statement in CHANGES[change].split(";"):
            reviews.connection.execute(statement)
    assert backfill()["pending"] == 0
    rows = reviews.one("SELECT count(*) FROM reviews")
    assert rows == reviews.filled()
    assert not rows or reviews.are_right()


def test_fault_50_a_partition_moves(reviews: Reviews, backfill: Backfill) -> None:
    reviews.run("CREATE TABLE t (id int PRIMARY KEY, body text) PARTITION BY RANGE (id)")
    reviews.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)")
    reviews.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200)")
    reviews.run("INSERT INTO t SELECT i, 't ' || i FROM generate_series(1, 150) AS i")
    reviews.run("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    backfill(source="t")
    reviews.run("UPDATE t SET id = id + 150, body = 'moved ' || id WHERE id < 40")
    reviews.run("ALTER TABLE t DETACH PARTITION t2")
    reviews.run("CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (200) TO (300)")
    reviews.run("INSERT INTO t SELECT i, 't ' || i FROM generate_series(250, 270) AS i")
    reviews.run("UPDATE t2 SET body = 'changed outside' WHERE id < 120")
    reviews.run("ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (100) TO (200)")
    assert backfill(source="t")["pending"] == 0
    assert reviews.are_right(table="t")


def test_fault_50_a_restored_dump(
    reviews: Reviews,
    database: Database,
    cluster: PostgresCluster,
    create_database: CreateDatabase,
    backfill: Backfill,
) -> None:
    """The catalog goes with the tables; a row that was pending is pending."""
    reviews.make(50)
    backfill()
    reviews.run("UPDATE reviews SET body = 'changed ' || id WHERE id <= 5")
    restored = create_database("template0")
    dumped = subprocess.run(
        [cluster.binary("pg_dump"), "--dbname", database.dsn], capture_output=True, check=True
    ).stdout
    done = subprocess.run(
        [cluster.binary("psql"), "-qX", "-v", "ON_ERROR_STOP=1", "--dbname", restored.dsn],
        input=dumped, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    with restored.connect() as connection:
        assert connection.execute("SELECT source::text, pending FROM rowvec.status").fetchone() == (
            "reviews",
            5,
        )
    assert backfill(ROWVEC_DSN=restored.dsn)["written"] == 5
    with restored.connect() as connection:
        assert Reviews(connection).are_right()


def test_fault_53_writes_go_on_without_sync_and_worker(migrated_database: Database) -> None:
    """Nothing of ours is in the way of a write: no trigger, and no call."""
    with migrated_database.connect() as conn:
        conn.execute("CREATE TABLE t (id int PRIMARY KEY, body text, embedding vector(8),"
                     " embedding_of uuid)")  # fmt: skip
        conn.execute("INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
                     " VALUES ('t', 'embedding', 'stand-in-small', 'body', 8)")  # fmt: skip
        conn.execute("SELECT rowvec._prepare_jobs(id) FROM rowvec.embedding")
        conn.execute("INSERT INTO t (id, body) VALUES (1, 'one')")
        conn.execute("UPDATE t SET body = 'two'")
        assert conn.execute("SELECT pending FROM rowvec.status").fetchone() == (1,)
        assert conn.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass"
                            ).fetchone() == (0,)  # fmt: skip


def test_fault_55_a_large_update_of_another_column(reviews: Reviews, backfill: Backfill) -> None:
    """100,000 rows: nothing is called, nothing is sent, nothing is pending afterwards."""
    reviews.make(1)
    reviews.run("INSERT INTO reviews SELECT i, 't ' || i FROM generate_series(2, 100000) AS i")
    backfill("--limit", "1")  # builds the index on pending rows
    reviews.run("DROP TRIGGER count_write ON reviews")
    of = row_hash(reviews.connection, "reviews")
    reviews.run(f"UPDATE reviews SET embedding = '[1,0,0,0,0,0,0,0]', embedding_of = {of}")
    asked = "SELECT requests FROM rowvec.models() WHERE name = 'stand-in-small'"
    before = reviews.one(asked)
    reviews.run("UPDATE reviews SET writes = writes + 1")
    assert reviews.one(asked) == before
    assert reviews.one("SELECT pending FROM rowvec.status") == 0
    assert reviews.one("SELECT count(*) FROM pg_listening_channels()") == 0


def test_fault_56_our_own_update_is_no_change_and_null_clears(
    reviews: Reviews, backfill: Backfill
) -> None:
    reviews.make(100)
    assert backfill()["written"] == 100
    assert backfill()["written"] == 0
    assert reviews.one("SELECT max(writes) FROM reviews") == 1
    reviews.run("UPDATE reviews SET body = NULL WHERE id <= 10")
    assert backfill()["cleared"] == 10
    assert reviews.filled() == 90
    assert reviews.are_right()
