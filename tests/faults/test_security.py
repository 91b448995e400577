"""Faults 59 to 65: what a user of the database might try against its owner or its neighbours."""

from __future__ import annotations

import re
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from support.lines import Base
from support.postgres import Database, refused
from support.workers import StartWorker, Worker


@pytest.fixture
def role(base: Base) -> Iterator[Callable[..., str]]:
    """Makes login roles, members of the given ones; gone after the test."""
    made: list[str] = []
    with base.connect() as admin:

        def make(*memberships: str) -> str:
            name = f"someone_{uuid.uuid4().hex[:8]}"
            admin.execute(f"CREATE ROLE {name} LOGIN")
            for membership in memberships:
                admin.execute(f"GRANT {membership} TO {name}")
            made.append(name)
            return name

        yield make
        for name in made:
            admin.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


@pytest.fixture
def member(
    base: Base, conn: psycopg.Connection, role: Callable[..., str]
) -> Iterator[psycopg.Connection]:
    """A session of somebody who may embed; the owner's is `conn`."""
    name = role("rowvec_user")
    conn.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {name}")
    with base.connect(name) as session:
        yield session


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


EMBED = "SELECT rowvec.embed('stand-in', 'x') IS NOT NULL"


@pytest.mark.parametrize(
    "name", ['x"; DROP SCHEMA rowvec CASCADE; --', "select", "Ünï cödé", "'; --", "a.b", "%s $1"]
)
def test_fault_59_names_that_are_code(conn: psycopg.Connection, name: str) -> None:
    """Quoted wherever they go: the table works, and nothing else happens."""
    table = sql.Identifier(name)
    conn.execute(
        sql.SQL("CREATE TABLE {} ({} int PRIMARY KEY, {} text)").format(
            table, table, sql.Identifier(f"b{name}")
        )
    )
    quoted = sql.SQL("SELECT rowvec.create_embedding({}::regclass, 'stand-in', {})").format(
        sql.Literal(table.as_string(conn)), sql.Literal(sql.Identifier(f"b{name}").as_string(conn))
    )
    conn.execute(quoted)
    conn.execute(sql.SQL("INSERT INTO {} VALUES (1, 'one')").format(table))
    assert one(conn, "SELECT source::text FROM rowvec.embedding") == one(
        conn, "SELECT %s::regclass::text", table.as_string(conn)
    )
    assert one(conn, "SELECT pending FROM rowvec.status") == 1
    for argument in (name, f"{name}'"):
        with refused("42501"):
            conn.execute("SELECT rowvec.embed(%s, 'x')", (argument,))
    assert one(conn, EMBED)


@pytest.mark.parametrize("schema", ["pg_temp", "public"])
def test_fault_60_shadows(member: psycopg.Connection, schema: str) -> None:
    """Functions, operators and tables of one's own, first on the path: none of them runs."""
    member.execute("CREATE TEMP TABLE harm (what text)")
    member.execute(f"SET search_path = {schema}, pg_catalog, public")
    member.execute(f"CREATE TABLE {schema}.secret AS SELECT 'mine' AS value")
    member.execute(f"CREATE TABLE {schema}.pg_class AS SELECT 1 AS oid")
    for signature, result in (
        ("pg_backend_pid()", "int"),
        ("clock_timestamp()", "timestamptz"),
        ("sha256(bytea)", "bytea"),
        ("array_agg(text)", "text[]"),
        ("unnest(text[])", "SETOF text"),
        ("cardinality(text[])", "int"),
        ("dblink_connect(text, text)", "text"),
        ("dblink_send_query(text, text)", "int"),
        ("format(text, text)", "text"),
        ("jsonb_typeof(jsonb)", "text"),
    ):
        member.execute(
            f"CREATE FUNCTION {schema}.{signature} RETURNS {result} LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'a shadow ran as %', current_user; END $$"
        )
    assert one(member, EMBED)
    assert member.execute("SELECT * FROM rowvec.embed_batch('stand-in', ARRAY['x'])").fetchall()
    assert member.execute("SELECT * FROM rowvec.models()").fetchall()
    found = member.execute(
        "SELECT proname::text, proconfig FROM pg_catalog.pg_proc "
        "WHERE pronamespace = 'rowvec'::regnamespace AND prosecdef"
    ).fetchall()
    assert found
    for name, configuration in found:
        assert any(
            re.fullmatch(r"search_path=pg_catalog, (\S+, )?pg_temp", each) for each in configuration
        ), name


def test_fault_61_line_opened_beforehand(
    base: Base, conn: psycopg.Connection, member: psycopg.Connection, role: Callable[..., str]
) -> None:
    """Nobody can open a connection under our name, nor use the one that is open.

    The name is a hash of a secret that users cannot read and of the session's number, and dblink
    cannot be called by them at all.
    """
    assert one(conn, EMBED)
    (line,) = one(conn, "SELECT rowvec_dblink.dblink_get_connections()")
    assert re.fullmatch("rowvec_[0-9a-f]{32}", line)
    with base.connect() as other:
        assert one(other, EMBED)
        assert one(other, "SELECT rowvec_dblink.dblink_get_connections()") != [line]
    for statement in (
        "SELECT value FROM rowvec.secret",
        f"SELECT rowvec_dblink.dblink_connect('{line}', 'host=evil.example')",
        "CREATE FOREIGN DATA WRAPPER evil",
        f"CREATE SERVER {line} FOREIGN DATA WRAPPER dblink_fdw",
    ):
        with refused("42501"):
            member.execute(statement)
    # A session that becomes somebody else keeps its line, and does not give it away.
    stranger = role()
    conn.execute(f"SET ROLE {stranger}")
    with refused("42501"):
        conn.execute("SELECT rowvec_dblink.dblink_get_connections()")
    with refused("42501"):
        conn.execute(EMBED)


@pytest.mark.parametrize("membership", ["rowvec_user", ""])
def test_fault_62_dblink_is_nobodys(
    base: Base, conn: psycopg.Connection, role: Callable[..., str], membership: str
) -> None:
    """Neither by its schema, nor by SET ROLE, nor by a mapping of one's own; no password shows."""
    assert one(conn, EMBED)
    with base.connect(role(*filter(None, [membership]))) as session:
        for statement in (
            "SELECT rowvec_dblink.dblink_connect('mine', 'rowvec_worker')",
            "SELECT * FROM rowvec_dblink.dblink('dbname=postgres', 'SELECT 1') AS t(x int)",
            "SELECT rowvec_dblink.dblink_get_connections()",
            "SET ROLE rowvec_caller",
            "CREATE USER MAPPING FOR CURRENT_USER SERVER rowvec_worker OPTIONS (user 'x')",
            "ALTER SERVER rowvec_worker OPTIONS (SET host 'evil.example')",
            'SELECT rowvec._call(\'{"v":1,"op":"ping"}\', 1000)'
            if not membership
            else "SELECT * FROM pg_user_mapping",
        ):
            with refused("42501"):
                session.execute(statement)
        assert session.execute("SELECT umoptions FROM pg_user_mappings").fetchall() == [(None,)]


def test_fault_63_row_level_security(database: Database) -> None:
    """Rows that a policy hides are neither found, nor counted, nor embedded by the user's call."""
    name = f"someone_{uuid.uuid4().hex[:8]}"
    with database.connect() as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN IN ROLE rowvec_user")
        owner.execute("CREATE TABLE notes (id int PRIMARY KEY, body text, tenant text)")
        owner.execute(
            "INSERT INTO notes VALUES (1, 'one', 'a'), (2, 'two', 'b'), (3, 'three', 'a')"
        )
        owner.execute("SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body')")
        owner.execute("CALL rowvec.backfill('notes')")
        owner.execute(f"GRANT SELECT ON notes TO {name}")
        owner.execute("ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
        owner.execute("CREATE POLICY tenants ON notes USING (tenant = 'a')")
        try:
            with database.connect(name) as session:
                found = session.execute(
                    "SELECT key FROM rowvec.search('notes', 'two', 10)"
                ).fetchall()
                assert sorted(found) == [(1,), (3,)]
                rows = session.execute(
                    "SELECT * FROM rowvec.embed_rows('stand-in-small', "
                    "'SELECT id, body FROM notes')"
                ).fetchall()
                assert len(rows) == 2
                assert one(session, "SELECT rows FROM rowvec.status") == 2
                with refused("P0002", "has no row"):
                    session.execute("SELECT * FROM rowvec.similar('notes', '2')")
                with refused("42501"):
                    session.execute("CALL rowvec.backfill('notes')")
        finally:
            owner.execute(f"DROP OWNED BY {name}")
            owner.execute(f"DROP ROLE {name}")


SECRET = "the diagnosis of Mrs Miller"

LOGGED = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
refuse = "diagnosis"
die = "die of"
[[model]]
name = "short"
kind = "stand-in"
dimensions = 8
max_tokens = 2
"""


@pytest.mark.parametrize(
    ("call", "is_a_name"),
    [
        ("rowvec.embed('stand-in', %s)", False),
        ("rowvec.embed('stand-in', 'die of ' || %s)", False),
        ("rowvec.embed('short', 'a b c d ' || %s, '{\"on_truncate\": \"error\"}')", False),
        ("rowvec.embed('short', repeat(%s, 1000000))", False),
        # Arguments in the wrong order: the caller is told of its own name, and nobody else is.
        ("rowvec.embed(%s, 'x')", True),
        ("rowvec.embed('short', 'x', jsonb_build_object(%s::text, 1))", True),
        ("rowvec.count_tokens(%s, 'x')", True),
    ],
)
def test_fault_64_failing_calls_keep_texts_to_themselves(
    base: Base, talkative_worker: Worker, call: str, *, is_a_name: bool
) -> None:
    """Neither the worker's log at its most talkative, nor an error, nor a metric has the text."""
    worker = talkative_worker
    base.point_at(str(worker.folder), 5466, worker.password)
    before = len(worker.log.read_text())
    with base.connect() as conn, pytest.raises(psycopg.Error) as caught:
        conn.execute(f"SELECT {call}", (SECRET,))
    port = re.search(r"answering HTTP on (\S+)", worker.log.read_text())
    assert port is not None
    with urllib.request.urlopen(f"{port[1]}/metrics", timeout=60) as page:  # noqa: S310
        assert "Miller" not in page.read().decode()
    written = worker.log.read_text()
    assert "request" in written[before:]
    assert "Miller" not in written
    if not is_a_name:
        assert "Miller" not in str(caught.value)


@pytest.fixture(scope="module")
def talkative_worker(start_module_worker: StartWorker) -> Worker:
    """A worker that logs every request."""
    return start_module_worker(LOGGED, "--http-listen", "127.0.0.1:0", verbose=True)


def test_fault_65_cached_text_of_another(
    conn: psycopg.Connection, member: psycopg.Connection
) -> None:
    """The same answer whether somebody asked before or not; nothing tells of it but the clock."""
    text = f"a text of two tenants {uuid.uuid4().hex}"
    ask = "SELECT rowvec.embed('stand-in', %s)::text"
    fresh = one(member, ask, text)
    assert one(conn, ask, text) == fresh
    assert one(member, ask, text) == fresh
    columns = member.execute("SELECT * FROM rowvec.models() LIMIT 0").description or ()
    assert not {"cached", "cache_hits", "hits"} & {column.name for column in columns}
