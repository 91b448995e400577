"""Whatever befalls a table, its jobs and its servers: when quiet, every vector is of its text.

Hypothesis draws changes of the rows, by statement, COPY and savepoint, and kills of whoever works:
a backfill, the sync that runs all the time, the worker, Postgres itself.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import PostgresCluster
from support.places import ROWVEC, clean_environment
from support.postgres import Database
from support.workers import StartWorker, point_at

MODEL = "mortal"
MODELS = f"""
[[model]]
name = "{MODEL}"
kind = "stand-in"
dimensions = 8
max_tokens = 12
refuse = "refuse me"
"""
QUIET_SECONDS = 300

# "refuse me" is what the model refuses; the long ones have several chunks, the blank one has none.
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["", "  ", "one", "two words", "please refuse me", "ünï cödé 😀"]),
    st.integers(1, 60).map(lambda count: " ".join(f"w{count}.{n}" for n in range(count))),
)
KEYS = st.integers(-20, 20)

WRONG_COLUMN = f"""
    SELECT t.id, t.body FROM notes AS t
    WHERE t.body IS NOT NULL AND t.body NOT LIKE '%%refuse me%%' AND (
        t.embedding_of IS DISTINCT FROM hashtextextended(t.body, 0)
        OR t.embedding IS DISTINCT FROM rowvec.embed('{MODEL}', t.body))
    OR t.body IS NULL AND (t.embedding IS NOT NULL OR t.embedding_of IS NOT NULL)
"""
WRONG_TABLE = f"""
    SELECT id, t.body FROM notes AS t
    FULL JOIN (
        SELECT id, array_agg((ordinality, chunk, start_char, end_char, tokens)::text
                   ORDER BY ordinality) AS chunks,
            bool_and(embedding = rowvec.embed('{MODEL}', chunk)) AS is_right
        FROM notes_embedding GROUP BY id
    ) AS c USING (id)
    WHERE t IS NULL
    OR t.body NOT LIKE '%%refuse me%%'
        AND t.embedding_of IS DISTINCT FROM hashtextextended(t.body, 0)
    OR t.body IS NULL AND (c.chunks IS NOT NULL OR t.embedding_of IS NOT NULL)
    OR t.body NOT LIKE '%%refuse me%%' AND (
        NOT c.is_right OR c.chunks IS DISTINCT FROM (
            SELECT array_agg((ordinality, chunk, start_char, end_char, tokens)::text
                ORDER BY ordinality)
            FROM rowvec.chunk('{MODEL}', t.body, '{{"max_tokens": 12, "overlap": 1}}')))
"""
NOT_SET_ASIDE = """
    SELECT t.id, t.body FROM notes AS t
    WHERE t.body LIKE '%%refuse me%%' AND NOT EXISTS (
        SELECT FROM rowvec.failure AS f
        WHERE f.key = to_jsonb(t.id) AND f.input_hash = hashtextextended(t.body, 0))
"""


class Stage:
    """A Postgres, a worker and a sync of its own, which may be killed and come back."""

    def __init__(self, folder: Path, start_worker: StartWorker) -> None:
        self.cluster = PostgresCluster(
            folder / "mortal", {"max_connections": "50", "deadlock_timeout": "10s"}
        )
        self.cluster.create()
        self.cluster.start()
        self.dsn = self.cluster.dsn()
        migrate(self.dsn, search_path=False)
        self._start_worker = start_worker
        self._home = folder / "mortal-worker"
        self._log = (folder / "mortal-sync.log").open("ab")
        self.worker = start_worker(MODELS, socket_folder=self._home)
        point_at(Database("postgres", self.cluster), self.worker)
        self.sync = self.start("sync")

    def connect(self) -> psycopg.Connection[Any]:
        """An autocommit connection; the caller closes it."""
        return psycopg.connect(self.dsn, autocommit=True)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a command of rowvec on the database."""
        return subprocess.Popen(
            [ROWVEC, *arguments, "--dsn", self.dsn], env=clean_environment(),
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def kill_sync(self) -> None:
        """SIGKILL, and another begins."""
        self.sync.kill()
        self.sync.wait()
        self.sync = self.start("sync")

    def kill_worker(self) -> None:
        """SIGKILL, and another begins."""
        self.worker.process.send_signal(signal.SIGKILL)
        self.worker.process.wait()
        (self._home / ".s.PGSQL.5466").unlink(missing_ok=True)
        self.worker = self._start_worker(MODELS, socket_folder=self._home)

    def kill_postgres(self) -> None:
        """As by SIGQUIT: without a checkpoint, so that it recovers."""
        self.cluster.stop(immediate=True)
        self.cluster.start()

    def log(self) -> str:
        """What the jobs printed last."""
        return Path(self._log.name).read_text()[-5000:]

    def close(self) -> None:
        """Ends everything but the worker, which its fixture ends."""
        self.sync.kill()
        self.sync.wait()
        self.cluster.stop(immediate=True)
        self._log.close()


@contextmanager
def staged(folder: Path, start_worker: StartWorker) -> Iterator[Stage]:
    """A stage for as long as the block runs."""
    stage = Stage(folder, start_worker)
    yield stage
    stage.close()


def step(**strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule whose first failure is kept: Hypothesis runs it again, and then it may go well."""

    def decorate(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def run(self: Machine, *given: Any, **drawn: Any) -> None:
            try:
                function(self, *given, **drawn)
            except Exception as exc:
                self.failures.append(exc)
                raise

        return rule(**strategies)(run)  # type: ignore[no-untyped-call]  # hypothesis has overloads

    return decorate


class Machine(RuleBasedStateMachine):
    """Rows of one table, and what befalls them."""

    stage: Stage
    destination: str
    disasters_allowed: int
    failures: list[Exception]

    def __init__(self) -> None:
        super().__init__()
        self.disasters = self.moves = 0
        self.connection = self.stage.connect()
        self.execute("DROP TABLE IF EXISTS notes CASCADE")
        self.execute("SELECT rowvec.drop_embedding(source::oid::regclass) FROM rowvec.embedding")
        self.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        self.execute(
            f"SELECT rowvec.create_embedding('notes', '{MODEL}', 'body',"
            f" destination => '{self.destination}')"
        )

    def execute(self, statement: str, *parameters: Any) -> None:
        self.connection.execute(statement.encode(), parameters)

    @step(rows=st.dictionaries(KEYS, TEXTS, min_size=1, max_size=12))
    def insert(self, rows: dict[int, str | None]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO notes VALUES (%s, %s)"
                " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                list(rows.items()),
            )

    @step(first=st.integers(100, 10_000), texts=st.lists(TEXTS, min_size=1, max_size=20))
    def copy(self, first: int, texts: list[str | None]) -> None:
        self.execute("DELETE FROM notes WHERE id BETWEEN %s AND %s", first, first + len(texts))
        with self.connection.cursor().copy("COPY notes (id, body) FROM STDIN") as copy:
            for number, text in enumerate(texts):
                copy.write_row((first + number, text))

    @step(every=st.integers(1, 4), text=TEXTS)
    def update(self, every: int, text: str | None) -> None:
        self.execute("UPDATE notes SET body = %s || ' ' || id WHERE id %% %s = 0", text, every)

    @step(every=st.integers(1, 5))
    def delete(self, every: int) -> None:
        self.execute("DELETE FROM notes WHERE id %% %s = 0", every)

    @step()
    def change_keys(self) -> None:
        self.moves += 1
        self.execute(
            "UPDATE notes SET id = id + %s WHERE id BETWEEN -20 AND 10_100", 20_000 * self.moves
        )

    @step()
    def truncate(self) -> None:
        # Postgres itself ends one of the two where the index on pending rows is just being built:
        # CREATE INDEX CONCURRENTLY waits for this transaction, which waits for its lock.
        is_done = False
        while not is_done:
            with contextlib.suppress(psycopg.errors.DeadlockDetected):
                self.execute("TRUNCATE notes CASCADE")
                is_done = True

    @step(rows=st.dictionaries(KEYS, TEXTS, min_size=1, max_size=5), kept=st.booleans())
    def savepoint(self, rows: dict[int, str | None], *, kept: bool) -> None:
        class _Undone(Exception):
            pass

        with self.connection.transaction():
            self.execute("DELETE FROM notes WHERE id %% 3 = 0")
            with contextlib.suppress(_Undone), self.connection.transaction():
                self.insert(rows)
                if not kept:
                    raise _Undone

    @precondition(lambda self: self.disasters < self.disasters_allowed)
    @step(victim=st.sampled_from(["job", "job", "sync", "worker", "postgres"]))
    def kill(self, victim: str) -> None:
        self.disasters += 1
        if victim == "job":
            self._kill_job()
        elif victim == "sync":
            self.stage.kill_sync()
        elif victim == "worker":
            self.stage.kill_worker()
        else:
            self.connection.close()
            self.stage.kill_postgres()
            self.connection = self.stage.connect()

    def _kill_job(self) -> None:
        """A backfill, once it is at work or has found nothing to do."""
        self.execute("UPDATE notes SET body = body || '.'")
        job = self.stage.start("backfill", "notes", "--commit-rows", "2")
        at_work = "SELECT FROM rowvec.job WHERE kind = 'backfill' AND ended_at IS NULL"
        limit = time.monotonic() + QUIET_SECONDS
        while job.poll() is None and not self.connection.execute(at_work).fetchone():
            assert time.monotonic() < limit
        job.kill()
        job.wait()
        # Else the sync would wait for its silence to grow long.
        self.execute("UPDATE rowvec.job SET ended_at = now() WHERE kind = 'backfill'")

    @step()
    def settle(self) -> None:
        """Waits for the quiet, in which nothing may be wrong."""
        wrong = WRONG_TABLE if self.destination == "table" else WRONG_COLUMN
        limit = time.monotonic() + QUIET_SECONDS
        for statement in (NOT_SET_ASIDE, wrong):
            while found := self._rows(statement):
                assert time.monotonic() < limit, found
                assert self.stage.sync.poll() is None, self.stage.log()

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        try:
            return self.connection.execute(statement.encode(), ()).fetchall()
        except psycopg.errors.SqlclientUnableToEstablishSqlconnection:
            return [("the worker is not there yet",)]

    def teardown(self) -> None:
        self.settle()
        self.execute("SELECT rowvec.drop_embedding('notes')")
        self.execute("DROP TABLE notes")
        self.connection.close()


def run(stage: Stage, destination: str, examples: int, steps: int, disasters: int) -> None:
    class OnStage(Machine):
        pass

    OnStage.stage, OnStage.destination = stage, destination
    OnStage.disasters_allowed, OnStage.failures = disasters, []
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
        # The same every time: what it might find anew is for the long run.
        derandomize=examples < 10, print_blob=True, suppress_health_check=list(HealthCheck),
        # What went wrong once may not do so again: the first failure is all there is to see.
        phases=[Phase.generate], report_multiple_bugs=False,
    )  # fmt: skip
    try:
        run_machine(OnStage, settings=how)
    except Flaky:
        raise OnStage.failures[0] from None
