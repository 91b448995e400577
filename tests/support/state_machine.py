"""Whatever befalls a table, its jobs and its servers: when quiet, every vector is of its text.

Hypothesis draws changes of the rows, by statement, COPY and savepoint; of the definition and of the
weights; rows that go and come back as they were, by partition and by copy; and kills of whoever
works: a backfill, the sync that runs all the time, the worker, Postgres itself.
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

MODELS = ("mortal", "second")
ENTRY = """
[[model]]
name = "{name}"
kind = "stand-in"
dimensions = 8
max_tokens = 12
refuse = "refuse me"
revision = "{revision}"
"""
QUIET_SECONDS = 300

# "refuse me" is what the model refuses; the long ones have several chunks, the blank one has none.
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["", "  ", "one", "two words", "please refuse me", "ünï cödé 😀"]),
    st.integers(1, 60).map(lambda count: " ".join(f"w{count}.{n}" for n in range(count))),
)
KEYS = st.integers(-20, 20)

# The partitions of a source: one that stays, and one that goes and comes.
HERE = "FOR VALUES FROM (0) TO (MAXVALUE)"
AWAY = "FOR VALUES FROM (MINVALUE) TO (0)"

# `t`, rows with the text that is to be embedded and whether it can be; `e`, the definition.
WANTED = """
    (
        SELECT *, {input} AS text, ({filter}) IS TRUE AS takes_part, {hash} AS hash,
            {pending} AS is_pending
        FROM notes
    ) AS t
    CROSS JOIN (SELECT * FROM rowvec.embedding WHERE source = 'notes'::regclass) AS e
"""
WRONG_COLUMN = """
    SELECT t.id, t.text FROM {wanted}
    WHERE CASE
        WHEN t.text IS NULL THEN t.embedding IS NOT NULL OR t.embedding_of IS NOT NULL
        WHEN t.text LIKE '%%refuse me%%' THEN false
        WHEN t.takes_part OR t.embedding IS NOT NULL
            THEN t.embedding_of IS NULL
                OR t.embedding IS DISTINCT FROM rowvec.embed(e.model, t.text, e.kwargs)
        ELSE t.embedding_of IS NOT NULL
    END
"""
WRONG_TABLE = """
    SELECT id, text
    FROM (SELECT t.*, e.model, e.kwargs, e.chunk FROM {wanted}) AS t
    FULL JOIN (
        SELECT n.id, array_agg((n.ordinality, n.chunk, start_char, end_char, tokens)::text
                   ORDER BY n.ordinality) AS chunks,
            bool_and(n.embedding = rowvec.embed(e.model, n.chunk, e.kwargs)) AS is_right
        FROM notes_embedding AS n, rowvec.embedding AS e
        WHERE e.source = 'notes'::regclass
        GROUP BY n.id
    ) AS c USING (id)
    WHERE t IS NULL
    OR CASE
        WHEN t.text IS NULL THEN c.chunks IS NOT NULL
        WHEN t.text LIKE '%%refuse me%%' THEN false
        WHEN t.takes_part OR t.embedding_of IS NOT NULL
            THEN NOT c.is_right OR t.embedding_of IS NULL OR c.chunks IS DISTINCT FROM (
                SELECT array_agg((ordinality, chunk, start_char, end_char, tokens)::text
                    ORDER BY ordinality)
                FROM rowvec.chunk(t.model, t.text, t.kwargs || jsonb_build_object(
                    'max_tokens', t.chunk -> 'tokens', 'overlap', t.chunk -> 'overlap',
                    'border', t.chunk -> 'split')))
        ELSE c.chunks IS NOT NULL
    END
"""
PENDING = """
    SELECT t.id, t.text FROM {wanted}
    WHERE t.is_pending AND NOT EXISTS (
        SELECT FROM rowvec.failure AS f
        WHERE f.embedding_id = e.id AND f.key = to_jsonb(t.id) AND f.input_hash = t.hash
            AND t.text LIKE '%%refuse me%%')
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
        self.revision = 0
        self.worker = start_worker(self._models(), socket_folder=self._home)
        point_at(Database("postgres", self.cluster), self.worker)
        self.sync = self.start("sync")

    def _models(self) -> str:
        return "".join(ENTRY.format(name=name, revision=self.revision) for name in MODELS)

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
        """SIGKILL, and another begins, with what the list says by now."""
        self.worker.process.send_signal(signal.SIGKILL)
        self.worker.process.wait()
        (self._home / ".s.PGSQL.5466").unlink(missing_ok=True)
        self.worker = self._start_worker(self._models(), socket_folder=self._home)

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
        self.is_detached = False
        self.copy_of: str | None = None
        self.connection = self.stage.connect()
        self.execute("DROP TABLE IF EXISTS notes, away, copied, copied_chunks CASCADE")
        self.execute("SELECT rowvec.drop_embedding(source::oid::regclass) FROM rowvec.embedding")
        if self.destination == "column":
            self.execute(
                "CREATE TABLE notes (id int PRIMARY KEY, body text) PARTITION BY RANGE (id)"
            )
            self.execute(f"CREATE TABLE here PARTITION OF notes {HERE}")
            self.execute(f"CREATE TABLE away PARTITION OF notes {AWAY}")
        else:
            self.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        self.execute(
            f"SELECT rowvec.create_embedding('notes', '{MODELS[0]}', 'body',"
            f" destination => '{self.destination}')"
        )

    def execute(self, statement: str, *parameters: Any) -> None:
        self.connection.execute(statement.encode(), parameters)

    def insist(self, statement: str, *parameters: Any) -> None:
        """Executes what needs the table for itself, however often a job stands in the way.

        Postgres itself ends one of the two where the index on pending rows is just being built:
        CREATE INDEX CONCURRENTLY waits for this transaction, which waits for its lock. And it says
        "tuple concurrently updated" of an index that became another one meanwhile.
        """
        is_done = False
        while not is_done:
            try:
                self.execute(statement, *parameters)
                is_done = True
            except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
                pass
            except psycopg.errors.InternalError_ as exc:
                assert "concurrently" in str(exc)  # noqa: PT017  # any other is a failure

    @step(rows=st.dictionaries(KEYS, TEXTS, min_size=1, max_size=12))
    def insert(self, rows: dict[int, str | None]) -> None:
        if self.is_detached:
            rows = {abs(key): text for key, text in rows.items()}
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
            "UPDATE notes SET id = id + %s WHERE id BETWEEN 0 AND 10_100", 20_000 * self.moves
        )

    @step()
    def truncate(self) -> None:
        self.insist("TRUNCATE notes CASCADE")

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

    @step(
        change=st.sampled_from([
            f"model => '{MODELS[0]}'", f"model => '{MODELS[1]}'", "input => 'body'",
            "input => $$body || '!'$$", "filter => 'true'", "filter => 'id % 2 = 0'",
            """kwargs => '{"prompt": "p: "}'""", "kwargs => '{}'",
        ])
    )  # fmt: skip
    def alter(self, change: str) -> None:
        self.insist(f"SELECT rowvec.alter_embedding('notes', {change.replace('%', '%%')})")

    @precondition(lambda self: self.destination == "table")
    @step(tokens=st.sampled_from([6, 12]))
    def cut_otherwise(self, tokens: int) -> None:
        self.insist(
            "SELECT rowvec.alter_embedding('notes', chunk => jsonb_build_object('tokens', %s))",
            tokens,
        )

    @step()
    def replace_weights(self) -> None:
        """Behind the names of both models; what the column has is of others then."""
        self.stage.revision += 1
        self.stage.kill_worker()
        self.insist("SELECT rowvec.alter_embedding('notes')")

    @precondition(lambda self: self.destination == "column" and not self.is_detached)
    @step()
    def detach(self) -> None:
        self.insist("ALTER TABLE notes DETACH PARTITION away")
        self.is_detached = True

    @precondition(lambda self: self.is_detached)
    @step(text=TEXTS)
    def attach(self, text: str | None) -> None:
        """What was detached lacks nothing but what befell the others: it may have an old column."""
        self.execute("UPDATE away SET body = %s WHERE id %% 3 = 0", text)
        self.insist(f"ALTER TABLE notes ATTACH PARTITION away {AWAY}")
        self.is_detached = False

    @step()
    def save(self) -> None:
        """A copy of the rows with what was made of them, as a dump has it."""
        self.execute("DROP TABLE IF EXISTS copied, copied_chunks")
        made = (
            "body, embedding, embedding_of"
            if self.destination == "column"
            else "body, embedding_of"
        )
        with self.connection.transaction():
            self.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self.execute(f"CREATE TABLE copied AS SELECT id, {made} FROM notes")
            if self.destination == "table":
                self.execute("CREATE TABLE copied_chunks AS SELECT * FROM notes_embedding")
        self.copy_of = made

    @precondition(lambda self: self.copy_of is not None)
    @step()
    def restore(self) -> None:
        """The copy in the place of the rows, whatever the definition has become since."""
        self.truncate()
        lost = " WHERE id >= 0" if self.is_detached else ""
        with self.connection.transaction():
            self.execute(f"INSERT INTO notes (id, {self.copy_of}) SELECT * FROM copied{lost}")
            if self.destination == "table":
                self.execute("INSERT INTO notes_embedding SELECT * FROM copied_chunks")

    @precondition(lambda self: self.destination == "column" and not self.is_detached)
    @step(trust=st.booleans())
    def adopt(self, trust: bool) -> None:  # noqa: FBT001  # Hypothesis names it
        """Vectors that are there, and right, under a new definition; some rows change at once."""
        self.settle()
        self.execute(
            "CREATE TABLE definition AS SELECT model, input, filter, kwargs FROM rowvec.embedding"
            " WHERE source = 'notes'::regclass"
        )
        self.insist("SELECT rowvec.drop_embedding('notes', keep_columns => true)")
        self.execute("UPDATE notes SET embedding_of = NULL")
        self.insist(
            "SELECT rowvec.create_embedding('notes', model, input, filter => filter,"
            " kwargs => kwargs, adopt => %s) FROM definition", "trust" if trust else "verify",
        )  # fmt: skip
        self.execute("DROP TABLE definition")
        self.execute("UPDATE notes SET body = 'changed ' || id WHERE id %% 3 = 0")
        self.execute("UPDATE notes SET body = NULL WHERE id %% 4 = 0")

    @step(every=st.integers(1, 4))
    def remove_by_hand(self, every: int) -> None:
        """A vector, some chunks, or the hash alone."""
        self.execute("UPDATE notes SET embedding_of = NULL WHERE id %% (%s + 1) = 1", every)
        if self.destination == "column":
            self.execute("UPDATE notes SET embedding = NULL WHERE id %% %s = 0", every)
        else:
            self.execute("DELETE FROM notes_embedding WHERE (id + ordinality) %% %s = 0", every)

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
        (now,) = self._rows(
            "SELECT e.input, coalesce(e.filter, 'true'), rowvec._row_hash(e), rowvec._pending(e.id)"
            " FROM rowvec.embedding AS e WHERE e.source = 'notes'::regclass"
        )
        input_, filter_, hash_, pending = (str(part).replace("%", "%%") for part in now)
        wanted = WANTED.format(input=input_, filter=filter_, hash=hash_, pending=pending)
        limit = time.monotonic() + QUIET_SECONDS
        for statement in (PENDING, wrong):
            while found := self._rows(statement.format(wanted=wanted)):
                assert time.monotonic() < limit, found
                assert self.stage.sync.poll() is None, self.stage.log()

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        try:
            return self.connection.execute(statement.encode(), ()).fetchall()
        except psycopg.errors.SqlclientUnableToEstablishSqlconnection:
            return [("the worker is not there yet",)]

    def teardown(self) -> None:
        self.settle()
        self.insist("SELECT rowvec.drop_embedding('notes')")
        self.execute("DROP TABLE IF EXISTS notes, away, copied, copied_chunks")
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
