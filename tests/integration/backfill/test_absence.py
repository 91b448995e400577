"""A worker or a Postgres that is away for a while, and a model that does not fit."""

from __future__ import annotations

import psycopg
import pytest

from rowvec.errors import DimensionMismatch, WorkerUnreachable
from support.backfills import Fill, FillInBackground
from support.reviews import Reviews
from support.waiting import eventually
from support.workers import StartWorker, Worker


def test_waits_for_a_worker_that_is_down(
    own_worker: Worker,
    reviews: Reviews,
    fill_in_background: FillInBackground,
    start_worker: StartWorker,
) -> None:
    reviews.make(20)
    own_worker.process.terminate()
    own_worker.process.wait()
    running, reporter = fill_in_background("reviews")
    eventually(lambda: any("trying again" in said for said in reporter.sentences))
    start_worker(socket_folder=own_worker.folder)
    assert running.result().written == 20
    assert "answered again, going on" in reporter.sentences


def test_gives_up_on_a_worker_that_stays_away(
    own_worker: Worker, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(20)
    own_worker.process.kill()
    own_worker.process.wait()
    with pytest.raises(WorkerUnreachable):
        fill("reviews", worker_wait_seconds=0.2)
    assert reviews.one("SELECT count(*) FROM rowvec.failure") == 0


def test_a_lost_connection_to_postgres_is_opened_again(
    connection: psycopg.Connection, reviews: Reviews, fill_in_background: FillInBackground
) -> None:
    reviews.make(100, "slow")
    running, reporter = fill_in_background("reviews", commit_rows=10)
    eventually(lambda: reviews.one("SELECT count(embedding) > 20 FROM reviews"))
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'rowvec backfill' AND datname = current_database()"
    )
    assert running.result().pending == 0
    assert reporter.sentences
    assert reviews.one("SELECT bool_and(embedding = rowvec.embed('slow', body)) FROM reviews")


def test_other_dimensions_are_refused_before_any_write(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    reviews.make(5)
    connection.execute("UPDATE rowvec.embedding SET model = 'stand-in'")
    with pytest.raises(DimensionMismatch, match="384 dimensions, the column has 8"):
        fill("reviews")
    assert reviews.one("SELECT count(embedding) FROM reviews") == 0
