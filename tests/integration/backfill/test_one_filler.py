"""Sync, backfill and CALL share a table's work: what one has taken, no other computes."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from support.backfills import Fill, FillInBackground, InBackground
from support.commands import Job, StartRowvec
from support.postgres import Database
from support.reviews import Reviews
from support.waiting import eventually

ROWS = 200
CALL = "CALL rowvec.backfill('reviews', commit_rows => 5)"

# What a job asks to learn the dimensions.
PROBE = 1

pytestmark = pytest.mark.usefixtures("own_worker")


@pytest.fixture
def computed(reviews: Reviews) -> Callable[[], int]:
    """How many texts have been computed since the table was made."""
    reviews.make(ROWS, "slow")
    before = reviews.computed("slow")
    return lambda: reviews.computed("slow") - before


@pytest.fixture
def sync(database: Database, start_rowvec: StartRowvec, reviews: Reviews) -> Callable[[], Job]:
    """Starts a sync, and returns once it fills."""

    def start() -> Job:
        job = start_rowvec("sync", "--dsn", database.dsn, "--commit-rows", "20")
        eventually(lambda: reviews.filled() > 0)
        return job

    return start


def test_a_backfill_takes_over_from_a_sync(
    reviews: Reviews,
    computed: Callable[[], int],
    sync: Callable[[], Job],
    fill_in_background: FillInBackground,
) -> None:
    sync()
    running, said = fill_in_background("reviews", commit_rows=10)
    summary = running.result()
    assert any("a sync keeps reviews.embedding filled" in each for each in said.sentences)
    assert summary.changed == 0
    assert reviews.filled() == ROWS
    assert computed() == ROWS + 2 * PROBE
    # It has given the table back.
    reviews.run("INSERT INTO reviews VALUES (1000, 'comes later')")
    eventually(lambda: reviews.filled() == ROWS + 1)
    assert computed() == ROWS + 1 + 3 * PROBE


def test_a_call_takes_over_from_a_sync(
    reviews: Reviews,
    connection: psycopg.Connection,
    computed: Callable[[], int],
    sync: Callable[[], Job],
) -> None:
    sync()
    said: list[str | None] = []
    connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    reviews.run(CALL)
    assert "taking over from a sync, once it has written its batch in hand" in said
    assert reviews.filled() == ROWS
    assert computed() == ROWS + PROBE
    reviews.run("INSERT INTO reviews VALUES (1000, 'comes later')")
    eventually(lambda: reviews.filled() == ROWS + 1)


def test_calls_and_backfills_share_the_ranges(
    database: Database,
    reviews: Reviews,
    computed: Callable[[], int],
    fill: Fill,
    in_background: InBackground,
) -> None:
    def call() -> None:
        with database.connect() as connection:
            connection.execute(CALL)

    jobs = [
        in_background(call),
        in_background(call),
        in_background(fill, "reviews", commit_rows=5),
    ]
    for job in jobs:
        job.result()
    assert reviews.filled() == ROWS
    assert reviews.are_written_once()
    assert computed() == ROWS + PROBE
    assert reviews.one("SELECT count(*) FROM rowvec.shard") == 0
    assert reviews.one("SELECT count(*) FROM rowvec.job WHERE ended_at IS NULL") == 0


def test_a_call_that_was_ended_leaves_its_range_to_the_next(
    database: Database, reviews: Reviews, computed: Callable[[], int], in_background: InBackground
) -> None:
    with database.connect() as caller:
        running = in_background(caller.execute, CALL)
        eventually(lambda: reviews.filled() > 0)
        caller.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            running.result()
    reviews.run(CALL)
    assert reviews.filled() == ROWS
    # It loses the batch that it had in hand.
    assert ROWS <= computed() <= ROWS + 5
