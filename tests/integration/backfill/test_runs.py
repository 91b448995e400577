"""How much a run does, with whom, and what it sets aside."""

from __future__ import annotations

import psycopg
import pytest

from support.backfills import Fill, InBackground
from support.reviews import Reviews


@pytest.mark.usefixtures("own_worker")
def test_two_at_once_do_no_row_twice(
    reviews: Reviews, fill: Fill, in_background: InBackground
) -> None:
    reviews.make(200, "slow")
    before = reviews.computed("slow")
    runs = [in_background(fill, "reviews", commit_rows=5) for _ in range(2)]
    written = [run.result().written for run in runs]
    assert sum(written) == 200
    assert min(written) > 0
    # Each run asks for one text more, to learn the dimensions.
    assert 200 < reviews.computed("slow") - before <= 202
    assert reviews.filled() == 200
    assert reviews.one("SELECT count(*) FROM rowvec.shard") == 0


def test_refused_rows_are_set_aside_and_come_back_when_their_text_changes(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(40, "refusing")
    connection.execute("UPDATE reviews SET body = 'refuse me ' || id WHERE id IN (1, 17, 40)")
    summary = fill("reviews", commit_rows=16)
    assert (summary.written, summary.failed, summary.pending) == (37, 3, 0)
    assert [row.key for row in summary.failures] == ["1", "17", "40"]
    recorded = connection.execute(
        "SELECT key, sqlstate, attempts, message FROM rowvec.failure ORDER BY key"
    ).fetchall()
    assert [row[:3] for row in recorded] == [(1, "22023", 1), (17, "22023", 1), (40, "22023", 1)]
    assert not any("refuse me" in row[3] for row in recorded)

    again = fill("reviews")
    assert (again.written, again.failed) == (0, 0)

    connection.execute("UPDATE reviews SET body = 'well' WHERE id = 17")
    assert fill("reviews").written == 1
    assert reviews.one("SELECT array_agg(key ORDER BY key) FROM rowvec.failure") == [1, 40]


def test_resumes_where_the_limit_stopped_it(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(100)
    first = fill("reviews", limit=33, commit_rows=10)
    assert (first.written, first.pending, first.stopped) == (33, 67, False)
    assert reviews.one("SELECT max(id) FROM reviews WHERE embedding IS NOT NULL") == 33
    # Behind the point to which the first run came: the second pass of the second run finds it.
    connection.execute("UPDATE reviews SET body = 'new' WHERE id = 5")
    second = fill("reviews", commit_rows=10)
    assert (second.written, second.pending) == (68, 0)


def test_commits_half_of_what_it_may_lose(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(100)
    fill("reviews", commit_rows=30)
    sizes = connection.execute(
        "SELECT count(*) FROM reviews GROUP BY xmin::text ORDER BY min(id)"
    ).fetchall()
    assert sizes == [(15,)] * 6 + [(10,)]


def test_truncated_texts_are_counted(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(3)
    connection.execute("UPDATE reviews SET body = repeat('many words ', 100) WHERE id = 2")
    assert fill("reviews").truncated == 1


def test_a_filled_table_is_not_read_to_find_that_nothing_is_pending(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    """Of ten million rows that took two seconds, in one statement."""
    reviews.make(20_000)
    fill("reviews")
    connection.execute("VACUUM ANALYZE reviews")
    scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'reviews'"
    connection.execute("SELECT pg_stat_force_next_flush()")
    before = reviews.one(scans)
    assert fill("reviews").written == 0
    assert reviews.one("SELECT pending FROM rowvec.progress") == 0
    connection.execute("SELECT pg_stat_force_next_flush()")
    assert reviews.one(scans) == before
