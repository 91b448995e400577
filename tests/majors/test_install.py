"""Installation trusts nothing that it did not make, and repairs what a restore left behind."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rowvec.db.schema import bootstrap_sql, migrate
from rowvec.embedded.postgres import PostgresCluster
from rowvec.errors import DatabaseError
from support.majors import migrated_template
from support.postgres import Database
from support.workers import Worker, point_at

SQUATTER = "rowvec_test_squatter"
OWNER = "rowvec_test_owner"

# What a role made that may create in the database and has no part in rowvec: the sentence that
# refuses it, and all that it made.
SQUATS = {
    "schema": ("the schema rowvec belongs to", "CREATE SCHEMA rowvec"),
    "schema of dblink": ("the schema rowvec_dblink belongs to", "CREATE SCHEMA rowvec_dblink"),
    "schema of jobs": ("the schema rowvec_jobs belongs to", "CREATE SCHEMA rowvec_jobs"),
}

# What a superuser let it do, and what it did then in the schema that is rowvec's.
GUESTS = {
    "creates": (f"{SQUATTER} has CREATE on the schema rowvec", "SELECT"),
    "function": (
        "the routine rowvec.embed(character varying) belongs to",
        "CREATE FUNCTION rowvec.embed(varchar) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ),
    "table": ("the table rowvec.extra belongs to", "CREATE TABLE rowvec.extra ()"),
    "type": ("the type rowvec.kind belongs to", "CREATE TYPE rowvec.kind AS ENUM ()"),
    "operator": (
        "the operator rowvec.=(text,text) belongs to",
        "CREATE OPERATOR rowvec.= (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)",
    ),
    "collation": (
        'the collation rowvec."C" belongs to',
        """CREATE COLLATION rowvec."C" (provider = libc, locale = 'C')""",
    ),
}


@pytest.fixture
def admin(postgres: PostgresCluster) -> Iterator[psycopg.Connection]:
    """A superuser of the cluster; the two roles of these tests are there meanwhile."""
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        for role in (SQUATTER, OWNER):
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        yield connection
        for role in (SQUATTER, OWNER):
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())


CreateDatabase = Callable[[str], Database]


@pytest.fixture
def create(postgres: PostgresCluster, admin: psycopg.Connection) -> Iterator[CreateDatabase]:
    """Makes databases in which the squatter may create."""
    names = []

    def create(template: str) -> Database:
        database = Database(f"install_{uuid.uuid4().hex[:12]}", postgres)
        names.append(sql.Identifier(database.name))
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(names[-1], sql.Identifier(template))
        )
        admin.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(names[-1], sql.Identifier(SQUATTER))
        )
        return database

    yield create
    for name in names:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def empty(create: CreateDatabase, postgres: PostgresCluster) -> Database:
    """A database without rowvec, beside one that has made the roles."""
    migrated_template(postgres)
    return create("template1")


@pytest.fixture
def installed(create: CreateDatabase, postgres: PostgresCluster) -> Database:
    """A database with rowvec."""
    return create(migrated_template(postgres))


def refusal(database: Database, user: str = "postgres") -> DatabaseError:
    """How `migrate` refuses."""
    with pytest.raises(DatabaseError) as caught:
        migrate(database.cluster.dsn(database.name, user))
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(("sentence", "script"), SQUATS.values(), ids=SQUATS)
def test_a_schema_that_somebody_made_first(empty: Database, sentence: str, script: str) -> None:
    with empty.connect(SQUATTER) as squatter:
        squatter.execute(script.encode())
    refused = refusal(empty)
    assert f"{sentence} {SQUATTER}" in str(refused)
    assert "DROP SCHEMA" in str(refused.hint)
    with empty.connect() as superuser:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=sentence):
            superuser.execute(bootstrap_sql(OWNER).encode())
        superuser.rollback()
        assert superuser.execute(
            "SELECT pg_has_role(%s, 'rowvec_caller', 'MEMBER')", (OWNER,)
        ).fetchone() == (False,)
        # As the hint says.
        superuser.execute(script.replace("CREATE", "DROP").encode())
    migrate(empty.dsn)


@pytest.mark.parametrize(("sentence", "script"), GUESTS.values(), ids=GUESTS)
def test_what_a_guest_left_in_the_schema(installed: Database, sentence: str, script: str) -> None:
    with installed.connect() as superuser:
        superuser.execute(f"GRANT USAGE, CREATE ON SCHEMA rowvec TO {SQUATTER}".encode())
        with installed.connect(SQUATTER) as guest:
            guest.execute(script.encode())
        if "CREATE on" not in sentence:
            superuser.execute(f"REVOKE CREATE ON SCHEMA rowvec FROM {SQUATTER}".encode())
        refused = refusal(installed)
        assert sentence in str(refused)
        superuser.execute(f"DROP OWNED BY {SQUATTER}".encode())
    migrate(installed.dsn)


def test_an_entry_of_the_worker_that_somebody_else_owns(empty: Database) -> None:
    with empty.connect() as superuser:
        superuser.execute(
            "CREATE SCHEMA rowvec_dblink; CREATE EXTENSION dblink SCHEMA rowvec_dblink"
        )
        superuser.execute(f"GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO {SQUATTER}".encode())
    with empty.connect(SQUATTER) as squatter:
        squatter.execute("CREATE SERVER rowvec_worker FOREIGN DATA WRAPPER dblink_fdw")
    refused = refusal(empty)
    assert f"the server rowvec_worker belongs to {SQUATTER}" in str(refused)
    assert "DROP SERVER rowvec_worker" in str(refused.hint)


def test_who_may_look_where_dblink_lives(installed: Database) -> None:
    with installed.connect() as superuser:
        superuser.execute(f"GRANT USAGE ON SCHEMA rowvec_dblink TO {SQUATTER}".encode())
        refused = refusal(installed)
        assert f"{SQUATTER} has USAGE on the schema rowvec_dblink" in str(refused)
        assert refused.hint is not None
        superuser.execute(refused.hint.removeprefix("look at what is in it, then ").encode())
    migrate(installed.dsn)


@pytest.mark.parametrize("role", ["rowvec_user", "rowvec_caller"])
def test_a_role_that_was_there_before(
    empty: Database, admin: psycopg.Connection, role: str
) -> None:
    """With members; with attributes, even where it bears our mark; and as it may be."""
    admin.execute(f"ALTER ROLE {role} RENAME TO away".encode())
    try:
        admin.execute(f"CREATE ROLE {role}; GRANT {role} TO {SQUATTER}".encode())
        refused = refusal(empty)
        assert f"the role {role} was there before rowvec" in str(refused)
        with empty.connect() as superuser:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="before rowvec"):
                superuser.execute(bootstrap_sql(OWNER).encode())
            superuser.rollback()
        admin.execute(f"COMMENT ON ROLE {role} IS 'rowvec: made by hand'".encode())
        admin.execute(f"ALTER ROLE {role} LOGIN".encode())
        refused = refusal(empty)
        assert f"the role {role} has attributes" in str(refused)
        assert refused.hint is not None
        admin.execute(refused.hint.encode())
        migrate(empty.dsn)
        with empty.connect() as superuser:
            superuser.execute(f"DROP OWNED BY {role}".encode())
    finally:
        admin.execute(f"DROP ROLE {role}".encode())
        admin.execute(f"ALTER ROLE away RENAME TO {role}".encode())


def test_a_role_whose_maker_may_give_it_to_anybody(
    empty: Database, admin: psycopg.Connection
) -> None:
    """Before Postgres 16 whoever may make roles could do that with every role."""
    if admin.info.server_version < 160000:
        return
    admin.execute("ALTER ROLE rowvec_caller RENAME TO away")
    try:
        admin.execute(f"ALTER ROLE {SQUATTER} CREATEROLE".encode())
        with empty.connect(SQUATTER) as squatter:
            squatter.execute("CREATE ROLE rowvec_caller")
            squatter.execute("COMMENT ON ROLE rowvec_caller IS 'rowvec: as if'")
        refused = refusal(empty)
        assert f"the role rowvec_caller was made by {SQUATTER}" in str(refused)
        admin.execute(f"REVOKE rowvec_caller FROM {SQUATTER}".encode())
        migrate(empty.dsn)
        with empty.connect() as superuser:
            superuser.execute("DROP OWNED BY rowvec_caller")
    finally:
        admin.execute("DROP ROLE rowvec_caller")
        admin.execute("ALTER ROLE away RENAME TO rowvec_caller")


def test_a_stranger_cannot_hold_up_a_migration(empty: Database) -> None:
    with empty.connect(SQUATTER) as stranger:
        stranger.execute("SELECT pg_advisory_lock(hashtextextended('rowvec.migrate', 0))")
        refused = refusal(empty)
        assert f"{SQUATTER} holds the lock" in str(refused)
        with empty.connect() as superuser:
            superuser.execute(str(refused.hint).encode())
    migrate(empty.dsn)


CHANGES = {
    "definition": "ALTER FUNCTION rowvec._prompt RESET search_path",
    "grant": "GRANT EXECUTE ON FUNCTION rowvec.drop_embedding TO PUBLIC",
    "missing grant": "REVOKE EXECUTE ON FUNCTION rowvec.embed FROM rowvec_user",
    "owner": "ALTER FUNCTION rowvec._call OWNER TO postgres",
    "server": "REVOKE USAGE ON FOREIGN SERVER rowvec_worker FROM rowvec_caller",
    "view": "ALTER VIEW rowvec.progress RENAME COLUMN source TO origin",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_by_hand_is_put_back(installed: Database, change: str) -> None:
    with installed.connect() as superuser:
        state = "SELECT sha256 FROM rowvec.sql_object WHERE path = 'schema rowvec'"
        before = superuser.execute(state).fetchone()
        superuser.execute(change.encode())
    assert migrate(installed.dsn).applied != []
    with installed.connect() as superuser:
        assert superuser.execute(state).fetchone() == before
    assert migrate(installed.dsn).applied == []


@pytest.mark.parametrize("owner", ["postgres", OWNER])
def test_a_dump_without_owners_and_rights_is_repaired(
    database: Database, empty: Database, worker: Worker, tmp_path: Path, owner: str,
) -> None:  # fmt: skip
    """Restored by a superuser, whoever is to have it then."""
    with database.connect() as conn:
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        conn.execute("INSERT INTO notes VALUES (1, 'one'), (2, 'two')")
        conn.execute("SELECT rowvec.create_embedding('notes', 'stand-in', 'body')")
        conn.execute("CALL rowvec.backfill('notes')")
        conn.execute("UPDATE notes SET body = 'later' WHERE id = 2")
    programs = database.cluster.binary("pg_dump").parent
    libraries = {"LD_LIBRARY_PATH": str(programs.with_name("lib"))}
    for program, *options in (
        ("pg_dump", "-Fc", "-f", str(tmp_path / "dump"), "-d", database.dsn),
        ("pg_restore", "--exit-on-error", "-d", empty.dsn, str(tmp_path / "dump")),
    ):
        subprocess.run([programs / program, "-O", "-x", *options], env=libraries, check=True)

    dsn = empty.cluster.dsn(empty.name, owner)
    if owner == OWNER:
        with empty.connect() as superuser:
            superuser.execute(f"ALTER TABLE notes OWNER TO {OWNER}".encode())
            refused = refusal(empty, OWNER)
            assert "a superuser has to prepare this database first" in str(refused)
            assert f"the schema rowvec for {OWNER}" in str(refused)
            superuser.execute(bootstrap_sql(OWNER).encode())
    migrate(dsn)
    assert migrate(dsn).applied == []
    point_at(empty, worker)
    with empty.connect() as superuser:
        superuser.execute(f"GRANT rowvec_user TO {SQUATTER}".encode())
    with empty.connect(owner) as conn, empty.connect(SQUATTER) as user:
        conn.execute("CALL rowvec.backfill('notes')")
        assert conn.execute("SELECT rows, pending FROM rowvec.status").fetchone() == (2, 0)
        conn.execute(f"GRANT SELECT ON notes TO {SQUATTER}".encode())
        found = user.execute("SELECT key FROM rowvec.search('notes', 'later', k => 1)")
        assert found.fetchone() == (2,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute("SELECT rowvec.drop_embedding('notes')")
