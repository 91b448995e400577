"""Jobs do their work as a role that has no right on any table."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from rowvec.backfill.report import LogReporter
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.runner import make_runner
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import ConfigError
from rowvec.sync.run import Task, sync
from support.postgres import Database, refused
from support.waiting import eventually


@dataclass
class Runner:
    """A role for jobs, beside an owner of the table `shop.notes`."""

    database: Database
    name: str
    owner: str

    @property
    def settings(self) -> Settings:
        dsn = self.database.cluster.dsn(self.database.name, self.name)
        return Settings.build(dsn=dsn, owner_dsn=self.database.dsn, commit_rows=8)

    def is_filled(self) -> bool:
        with self.database.connect() as admin:
            found = admin.execute(
                "SELECT count(*) FROM shop.notes WHERE embedding_of IS NULL"
            ).fetchone()
        return found == (0,)


@pytest.fixture
def runner(database: Database) -> Iterator[Runner]:
    made = Runner(database, f"runner_{uuid.uuid4().hex[:8]}", f"owner_{uuid.uuid4().hex[:8]}")
    with database.connect() as admin:
        make_runner(admin, made.name)
        admin.execute(
            f"CREATE ROLE {made.owner}; CREATE SCHEMA shop AUTHORIZATION {made.owner};"
            "CREATE TABLE shop.notes (id int PRIMARY KEY, body text);"
            f"ALTER TABLE shop.notes OWNER TO {made.owner};"
            "INSERT INTO shop.notes SELECT i, 'text ' || i FROM generate_series(1, 20) AS i"
        )
    yield made
    with database.connect() as admin:
        for role in (made.owner, made.name):
            for statement in (
                "REASSIGN OWNED BY {} TO postgres",
                "DROP OWNED BY {}",
                "DROP ROLE {}",
            ):
                admin.execute(sql.SQL(statement).format(sql.Identifier(role)))


def declare(runner: Runner, destination: str) -> None:
    with runner.database.connect() as admin:
        admin.execute(
            "SELECT rowvec.create_embedding('shop.notes', 'stand-in-small', 'body',"
            " destination => %s)",
            (destination,),
        )


@pytest.mark.parametrize("destination", ["column", "table"])
def test_a_backfill_fills_without_a_right_on_any_table(runner: Runner, destination: str) -> None:
    declare(runner, destination)
    settings = runner.settings
    done = asyncio.run(
        backfill(
            settings, BackfillRequest("shop.notes"), worker=worker_conninfo(settings),
            reporter=LogReporter(), stop=asyncio.Event(),
        )
    )  # fmt: skip
    assert (done.written, done.pending) == (20, 0)
    assert runner.is_filled()


def test_a_sync_fills_without_a_right_on_any_table(runner: Runner) -> None:
    declare(runner, "column")
    settings = runner.settings

    async def run() -> None:
        stop = asyncio.Event()
        said: list[str] = []
        running = asyncio.create_task(
            sync(Task(settings, None, lambda: worker_conninfo(settings), said.append, stop))
        )
        await asyncio.to_thread(eventually, runner.is_filled)
        stop.set()
        await running

    asyncio.run(run())


def test_the_worker_is_found_without_another_login(runner: Runner) -> None:
    alone = Settings.build(dsn=runner.settings.dsn)
    assert "password" in worker_conninfo(alone)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM shop.notes",
        "UPDATE shop.notes SET body = ''",
        "INSERT INTO shop.notes VALUES (0)",
        "DELETE FROM shop.notes",
        "CREATE INDEX ON shop.notes (body)",
        "SELECT rowvec.drop_embedding('shop.notes')",
        "UPDATE rowvec.embedding SET input = 'other'",
        "ALTER FUNCTION rowvec_jobs.read_1(text[], text[], bigint, boolean) SECURITY INVOKER",
        "CREATE FUNCTION rowvec_jobs.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE postgres",
        "SET ROLE rowvec_caller",
    ],
)
def test_the_role_can_do_nothing_by_itself(runner: Runner, statement: str) -> None:
    declare(runner, "column")
    with runner.database.connect(runner.name) as connection, refused("42501"):
        connection.execute(statement.encode())


def test_it_has_no_right_on_a_table_of_anybodys(runner: Runner) -> None:
    declare(runner, "table")
    with runner.database.connect(runner.name) as connection:
        found = connection.execute(
            "SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n"
            " ON n.oid = c.relnamespace WHERE nspname IN ('shop', 'public')"
            " AND c.relkind IN ('r', 'v', 'p', 'm') AND has_table_privilege(c.oid,"
            " 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
        ).fetchall()
    assert found == []


@pytest.mark.parametrize("grant", ["ALTER ROLE {0} SUPERUSER", "GRANT pg_read_all_data TO {0}"])
def test_a_role_with_rights_is_refused(runner: Runner, grant: str) -> None:
    with runner.database.connect() as admin:
        role = sql.Identifier(runner.name)
        admin.execute(sql.SQL(grant).format(role))
        with pytest.raises(ConfigError, match=runner.name):
            make_runner(admin, runner.name)
        admin.execute(sql.SQL("ALTER ROLE {0} NOSUPERUSER").format(role))


def test_an_owner_of_a_table_who_runs_jobs_is_refused(runner: Runner) -> None:
    """It could change the functions that jobs call."""
    with runner.database.connect() as admin:
        admin.execute(f"GRANT rowvec_job TO {runner.owner}".encode())
        with refused("42501", "may look into the schema rowvec_jobs", "rowvec_job"):
            admin.execute("SELECT rowvec.create_embedding('shop.notes', 'stand-in-small', 'body')")


def test_a_role_that_is_there_may_log_in_then(runner: Runner) -> None:
    with runner.database.connect() as admin:
        admin.execute(f"ALTER ROLE {runner.name} NOLOGIN".encode())
        make_runner(admin, runner.name)
    with psycopg.connect(runner.settings.dsn or "") as connection:
        assert connection.execute("SELECT current_user").fetchone() == (runner.name,)
