"""Rows, definitions and indexes that change while a backfill is at work, or between two."""

from __future__ import annotations

import psycopg
import pytest

from rowvec.errors import DefinitionChanged
from support.backfills import Fill, InBackground
from support.postgres import Database
from support.reviews import Reviews
from support.waiting import eventually


def test_null_is_never_embedded_and_clears_the_vector(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(3)
    connection.execute("UPDATE reviews SET body = NULL WHERE id = 2")
    assert fill("reviews").written == 2
    connection.execute("UPDATE reviews SET body = NULL WHERE id = 3")
    summary = fill("reviews")
    assert (summary.written, summary.cleared) == (0, 1)
    left = (
        "SELECT array_agg(id) FROM reviews WHERE embedding IS NOT NULL OR embedding_of IS NOT NULL"
    )
    assert reviews.one(left) == [1]


def test_rows_that_change_meanwhile_are_left_to_the_next_pass(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill, in_background: InBackground
) -> None:
    """No transaction is open while the worker computes, and the guard refuses what is stale."""
    reviews.make(150, "slow")
    run = in_background(fill, "reviews", commit_rows=80)
    eventually(reviews.is_embedding)
    open_since = (
        "SELECT max(xact_start) FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
    )
    assert reviews.one(open_since) is None
    connection.execute("UPDATE reviews SET body = 'changed' WHERE id = 1")
    connection.execute("UPDATE reviews SET body = NULL WHERE id = 2")
    connection.execute("DELETE FROM reviews WHERE id = 3")
    connection.execute("UPDATE reviews SET id = 1000 WHERE id = 4")
    summary = run.result()
    assert summary.changed == 4
    assert summary.written == 146 + 2  # the next pass fills the changed row and the moved one
    assert summary.pending == 0
    assert reviews.one(
        "SELECT embedding = rowvec.embed('slow', 'changed') FROM reviews WHERE id = 1"
    )
    assert reviews.one("SELECT count(embedding) FROM reviews") == 148


def test_a_definition_that_changes_stops_the_run(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill, in_background: InBackground
) -> None:
    reviews.make(150, "slow")
    run = in_background(fill, "reviews", commit_rows=80)
    eventually(reviews.is_embedding)
    connection.execute("UPDATE rowvec.embedding SET version = version + 1")
    with pytest.raises(DefinitionChanged, match=r"reviews\.embedding was changed"):
        run.result()
    assert reviews.one("SELECT count(embedding) FROM reviews") == 0


def test_a_row_that_others_lock_is_left_pending(
    database: Database, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(4)
    fill("reviews", limit=1)
    with database.connect() as other, other.transaction():
        other.execute("SELECT FROM reviews WHERE id = 3 FOR UPDATE")
        summary = fill("reviews")
    assert (summary.written, summary.changed, summary.pending) == (2, 0, 1)
    assert fill("reviews").written == 1


GIVES_WAY = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The row is locked by now; whoever wants it waits before we go on to the next.
    WHILE NEW.body LIKE 'text 1 %' AND NOT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    ) LOOP
        PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
    END LOOP;
    RETURN NEW;
END $$
"""


def test_a_job_gives_way_before_others_are_victims_of_a_deadlock(
    *, database: Database, connection: psycopg.Connection, reviews: Reviews, fill: Fill,
    in_background: InBackground,
) -> None:  # fmt: skip
    """Somebody has row 2 and waits for row 1, which the job has, who then wants row 2."""
    reviews.make(2)
    fill("reviews")  # builds the index, which waits for everybody
    connection.execute("UPDATE reviews SET body = body || '!'")
    connection.execute(GIVES_WAY.encode())
    connection.execute(
        "CREATE TRIGGER hold BEFORE UPDATE OF embedding ON reviews"
        " FOR EACH ROW EXECUTE FUNCTION hold()"
    )
    # Postgres looks for a deadlock once, on behalf of who has waited for so long.
    connection.execute(f"ALTER DATABASE {database.name} SET deadlock_timeout = '60s'")
    with database.connect() as other:
        with other.transaction():
            other.execute("SET deadlock_timeout = '1900ms'")
            other.execute("UPDATE reviews SET body = 'two' WHERE id = 2")
            run = in_background(fill, "reviews")
            eventually(
                lambda: reviews.one(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                    " AND datname = current_database()"
                )
            )
            other.execute("UPDATE reviews SET body = 'one' WHERE id = 1")
        run.result()
    fill("reviews")
    assert reviews.one(
        "SELECT array_agg(body ORDER BY id) = '{one,two}' AND bool_and("
        "embedding = rowvec.embed('stand-in-small', body)) FROM reviews"
    )


def test_an_invalid_index_of_a_killed_run_is_built_anew(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(5)
    connection.execute("CREATE INDEX reviews_embedding_pending ON reviews (id)")
    invalid = "indexrelid = 'reviews_embedding_pending'::regclass"
    connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {invalid}")
    assert fill("reviews").written == 5
    state = f"SELECT indisvalid AND indpred IS NOT NULL FROM pg_index WHERE {invalid}"
    assert reviews.one(state)


def test_pending_rows_are_found_by_the_index(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(5000)
    fill("reviews", commit_rows=1000)
    connection.execute("UPDATE reviews SET body = 'new' WHERE id %% 2000 = 0", ())
    pending = reviews.one("SELECT rowvec._pending(id) FROM rowvec.embedding")
    plan = connection.execute(
        f"EXPLAIN SELECT id FROM reviews WHERE {pending} AND id > 10 ORDER BY id LIMIT 256"
    ).fetchall()
    assert "reviews_embedding_pending" in "".join(line for (line,) in plan)
