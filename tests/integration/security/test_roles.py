"""Models that the list keeps for certain roles: the database says who asks, and nobody can lie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from rowvec.client import WorkerClient
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.embedded.postgres import PostgresCluster
from rowvec.errors import NotAllowed
from support.postgres import Database, refused
from support.workers import StartWorker, Worker, point_at

MODELS = """
[[model]]
name = "open"
kind = "stand-in"
dimensions = 8

[[model]]
name = "kept"
aliases = ["also kept"]
kind = "stand-in"
dimensions = 8
roles = ["rowvec_test_analyst", "rowvec test: a, b"]
"""

EMBED = "SELECT rowvec.embed('kept', 'a text')"
REFUSED = ("42501", "the worker's list of models keeps kept for certain roles of the database")


@pytest.fixture(scope="module", autouse=True)
def _roles(cluster: PostgresCluster) -> Iterator[None]:
    """An analyst, a member of that role who does not inherit it, one who does, and a stranger."""
    names = ("analyst", "member", "heir", "stranger")
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE ROLE rowvec_test_{name} LOGIN")
        connection.execute(
            'CREATE ROLE "rowvec test: a, b";'
            'GRANT "rowvec test: a, b" TO rowvec_test_heir WITH INHERIT TRUE;'
            "GRANT rowvec_test_analyst TO rowvec_test_heir WITH INHERIT TRUE;"
            "GRANT rowvec_test_analyst TO rowvec_test_member WITH INHERIT FALSE, SET TRUE"
        )
        yield
        for name in (*(f"rowvec_test_{name}" for name in names), '"rowvec test: a, b"'):
            connection.execute(f"DROP ROLE {name}")


@pytest.fixture(scope="module")
def worker(start_module_worker: StartWorker) -> Any:
    return start_module_worker(MODELS)


@pytest.fixture
def database(migrated_database: Database, worker: Worker) -> Iterator[Any]:
    point_at(migrated_database, worker)
    granted = ", ".join(f"rowvec_test_{n}" for n in ("analyst", "member", "heir", "stranger"))
    with migrated_database.connect() as connection:
        connection.execute(f"GRANT rowvec_user TO {granted}")
        yield migrated_database
        connection.execute(f"REVOKE rowvec_user FROM {granted}")


def as_role(database: Database, name: str) -> Any:
    return database.connect(f"rowvec_test_{name}")


@pytest.mark.parametrize("name", ["analyst", "heir"])
def test_the_role_and_who_inherits_it_may(database: Database, name: str) -> None:
    with as_role(database, name) as connection:
        assert connection.execute(EMBED).fetchone() is not None


def test_others_may_not(database: Database) -> None:
    with as_role(database, "stranger") as connection:
        with refused(*REFUSED, hint="that may use it: rowvec test: a, b, rowvec_test_analyst"):
            connection.execute(EMBED)
        with refused(*REFUSED):
            connection.execute("SELECT rowvec.count_tokens('also kept', 'a text')")
        assert connection.execute("SELECT rowvec.embed('open', 'a text')").fetchone() is not None


def test_the_cache_answers_nobody_else(database: Database) -> None:
    with as_role(database, "analyst") as connection:
        connection.execute(EMBED)
    with as_role(database, "stranger") as connection, refused(*REFUSED):
        connection.execute(EMBED)


def test_the_role_that_is_set_counts(database: Database) -> None:
    with as_role(database, "member") as connection:
        with refused(*REFUSED):
            connection.execute(EMBED)
        connection.execute("SET ROLE rowvec_test_analyst")
        assert connection.execute(EMBED).fetchone() is not None
        connection.execute("RESET ROLE")
        with refused(*REFUSED):
            connection.execute(EMBED)
    with database.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL ROLE rowvec_test_stranger")
        with refused(*REFUSED):
            connection.execute(EMBED)


def test_a_function_lends_nobody_its_owners_role(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE FUNCTION lent() RETURNS text LANGUAGE sql SECURITY DEFINER"
            " RETURN rowvec.embed('kept', 'a text')::text;"
            "ALTER FUNCTION lent() OWNER TO rowvec_test_analyst"
        )
    with as_role(database, "stranger") as connection, refused(*REFUSED):
        connection.execute("SELECT lent()")
    with database.connect() as connection:
        connection.execute("DROP FUNCTION lent()")


@pytest.mark.parametrize(
    "request_",
    [
        '{"v":1,"op":"embed","model":"kept","inputs":["x"],"roles":["rowvec_test_analyst"]}',
        '{"roles":["rowvec_test_analyst"],"v":1,"op":"embed","model":"kept","inputs":["x"]}  ',
        '{"v":1,"op":"embed","model":"kept","inputs":["}"],"roles":["rowvec_test_analyst"]}',
    ],
)
def test_a_request_that_names_roles_itself_does_not_get_them(
    database: Database, request_: str
) -> None:
    with as_role(database, "stranger") as connection, refused(*REFUSED):
        connection.execute("SELECT rowvec._call(%s, 10000)", (request_,))


@pytest.mark.parametrize(
    ("request_", "sqlstate"), [('["v"]', "22023"), ('{"v":1', "22P02"), ("{}", "42601")]
)
def test_a_request_that_is_no_object_is_not_sent(
    database: Database, request_: str, sqlstate: str
) -> None:
    with as_role(database, "stranger") as connection, refused(sqlstate):
        connection.execute("SELECT rowvec._call(%s, 10000)", (request_,))


@pytest.mark.parametrize(
    "request_",
    [
        '{"v":1,"op":"dataset","model":"x","page":{"cursor":"c"}}',
        '{"v":1,"op":"ping","op":"dataset","model":"x","page":{"cursor":"c"}}',
        '{"v":1,"op":"ping","\\u006fp":"data\\u0073et","model":"x","page":{"cursor":"c"}}',
    ],
)
def test_a_dataset_is_for_those_who_may_load_it(database: Database, request_: str) -> None:
    with as_role(database, "stranger") as connection, refused("42501", "may not read datasets"):
        connection.execute("SELECT rowvec._call(%s, 10000)", (request_,))


def test_the_list_shows_who_may(database: Database) -> None:
    with as_role(database, "stranger") as connection:
        rows = connection.execute("SELECT name, roles FROM rowvec.models()").fetchall()
    assert rows == [("open", None), ("kept", ["rowvec_test_analyst", "rowvec test: a, b"])]


def test_jobs_have_the_roles_of_their_user(database: Database, worker: Worker) -> None:
    async def embed(conninfo: str) -> int:
        async with await WorkerClient.connect(conninfo) as client:
            return len((await client.embed("kept", ["a text"])).vectors)

    # The owner of the database is a superuser here, and has every role.
    conninfo = worker_conninfo(Settings.build(dsn=database.dsn))
    assert asyncio.run(embed(conninfo)) == 1
    with pytest.raises(NotAllowed, match="keeps kept for certain roles"):
        asyncio.run(embed(worker.conninfo))
