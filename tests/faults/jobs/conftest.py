"""What the faults happen to: a table that counts its writes, and jobs as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.postgres import Database
from support.workers import StartWorker

ROWVEC = Path(sys.executable).parent / "rowvec"

MODELS = """
[[model]]
name = "plain"
kind = "stand-in"
dimensions = 8

[[model]]
name = "paced"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = 4

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
refuse = "refuse me"
"""


@pytest.fixture(scope="module")
def worker(start_module_worker: StartWorker) -> Any:
    """Models of the right speed for what is to happen meanwhile; no cache hides double work."""
    return start_module_worker(MODELS, "--cache-bytes", "0")


class Reviews:
    """The table `reviews` with an embedding; `writes` counts how often a vector was written."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn

    def make(self, rows: int, model: str = "paced") -> None:
        """So many texts that no other test has, as the worker remembers."""
        self.run("CREATE TABLE reviews (id bigint PRIMARY KEY, body text, writes int DEFAULT 0)")
        self.run(
            "INSERT INTO reviews SELECT i, i || ' ' || gen_random_uuid()"
            " FROM generate_series(1, %s) AS i",
            rows,
        )
        self.run(
            "CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END'"
        )
        self.run("SELECT rowvec.create_embedding('reviews', %s, 'body')", model)
        self.run(
            "CREATE TRIGGER count_write BEFORE UPDATE OF embedding ON reviews"
            " FOR EACH ROW EXECUTE FUNCTION count_write()"
        )

    def run(self, statement: str, *parameters: object) -> psycopg.Cursor:
        return self.conn.execute(statement, parameters or None)

    def one(self, statement: str, *parameters: object) -> Any:
        row = self.run(statement, *parameters).fetchone()
        assert row is not None
        return row[0]

    def filled(self) -> int:
        return int(self.one("SELECT count(embedding) FROM reviews"))

    def is_right(self, table: str = "reviews", text: str = "body") -> bool:
        """Whether every row has the vector of its text, and rows without a text have none."""
        return bool(
            self.one(
                f"WITH r AS MATERIALIZED (SELECT row_number() OVER () AS n, {text} AS t,"
                f" embedding, embedding_of FROM {table}), e AS (SELECT v, n FROM"
                " rowvec.embed_batch('plain', (SELECT array_agg(t ORDER BY n) FROM r))"
                " WITH ORDINALITY AS e(v, n))"
                " SELECT bool_and(r.embedding IS NOT DISTINCT FROM e.v"
                " AND r.embedding_of IS NOT DISTINCT FROM hashtextextended(r.t, 0))"
                " FROM r LEFT JOIN e USING (n)"
            )
        )

    def is_embedding(self) -> bool:
        """Whether a backfill has read what it may, and waits for vectors."""
        return bool(
            self.one(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
                " AND datname = current_database() AND state = 'idle'"
                " AND clock_timestamp() - state_change > interval '100 ms'"
                " AND EXISTS (SELECT FROM rowvec.shard)"
            )
        )

    def computed(self, model: str = "paced") -> int:
        """Texts that the worker has computed with a model since it started."""
        return int(self.one("SELECT texts FROM rowvec.models() WHERE name = %s", model))


@pytest.fixture(scope="session")
def reviews_of() -> Callable[[psycopg.Connection], Reviews]:
    return Reviews


@pytest.fixture
def reviews(database: Database) -> Iterator[Reviews]:
    with database.connect() as connection:
        yield Reviews(connection)


@dataclass
class Job:
    """A running command."""

    process: subprocess.Popen[str]

    def end(self, code: int = 0) -> tuple[dict[str, Any], str]:
        """Waits for its end: the summary that it printed, and what it said."""
        output, said = self.process.communicate(timeout=250)
        assert self.process.returncode == code, said
        assert "Traceback" not in said
        return (json.loads(output) if output else {}), said


Start = Callable[..., Job]


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts `rowvec ...`, on the test's database unless another DSN is given."""
    started: list[subprocess.Popen[str]] = []
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}

    def run(*arguments: str, dsn: str | None = None, **environment: str) -> Job:
        where = dsn or request.getfixturevalue("database").dsn
        process = subprocess.Popen(
            [ROWVEC, *arguments, "--dsn", where], env={**clean, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return Job(process)

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def backfill(start: Start) -> Callable[..., dict[str, Any]]:
    """Runs `rowvec backfill reviews` to its end and gives the summary."""

    def run(*arguments: str, source: str = "reviews", dsn: str | None = None) -> dict[str, Any]:
        return start("backfill", source, "--json", *arguments, dsn=dsn).end()[0]

    return run
