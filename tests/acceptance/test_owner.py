"""The owner of a database who is no superuser: after the printed script, everything works."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from rowvec.embedded.postgres import PostgresCluster
from support.commands import Rowvec
from support.workers import Worker


@dataclass
class Owned:
    """A database with an owner who is no superuser, and a superuser who does what they are told."""

    name: str
    owner: str
    cluster: Any

    @property
    def dsn(self) -> str:
        return str(self.cluster.dsn(self.name, quote(self.owner)))

    def connect(self, user: str | None = None) -> psycopg.Connection:
        dsn = self.cluster.dsn(self.name, quote(user or self.owner))
        return psycopg.connect(dsn, autocommit=True)


@pytest.fixture
def owned(cluster: PostgresCluster) -> Iterator[Owned]:
    """Its own cluster-wide roles are shared with every other database of the cluster."""
    suffix = uuid.uuid4().hex[:8]
    owned = Owned(f"owned_{suffix}", f"Owner {suffix}", cluster)
    role, database = sql.Identifier(owned.owner), sql.Identifier(owned.name)
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
    yield owned
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
        admin.execute(sql.SQL("DROP OWNED BY {}").format(role))
        admin.execute(sql.SQL("DROP ROLE {}").format(role))


def test_everything_works_for_the_owner(owned: Owned, worker: Worker, rowvec: Rowvec) -> None:
    """From the first refusal to the last search, by the commands that a person would type."""
    refused = rowvec("migrate", "--dsn", owned.dsn)
    assert refused.returncode == 1
    assert "superuser has to prepare" in refused.stderr
    assert "--bootstrap-sql" in refused.stderr

    script = rowvec("migrate", "--bootstrap-sql", "--owner", owned.owner)
    assert script.returncode == 0
    with owned.connect("postgres") as superuser:
        superuser.execute(script.stdout)
        superuser.execute(script.stdout)

    for expected in ("Migrated", "Nothing to do"):
        migrated = rowvec("migrate", "--dsn", owned.dsn)
        assert (migrated.returncode, migrated.stderr) == (0, "")
        assert expected in migrated.stdout

    unset = rowvec("server", "ping", "--dsn", owned.dsn)
    assert unset.returncode == 1
    assert "no password for the rowvec worker" in unset.stderr
    pointed = rowvec(
        "server", "set", "--dsn", owned.dsn, "--host", str(worker.folder), "--port", "5466",
        "--password-file", str(worker.password_file),
    )  # fmt: skip
    assert (pointed.returncode, pointed.stderr) == (0, "")
    assert worker.password not in pointed.stdout
    ping = rowvec("server", "ping", "--dsn", owned.dsn, "--json")
    assert json.loads(ping.stdout)["milliseconds"] > 0

    with owned.connect() as conn:
        assert conn.execute(
            "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False,)
        conn.execute(
            "CREATE TABLE reviews (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)"
        )
        conn.execute(
            "INSERT INTO reviews (body) SELECT 'review ' || g FROM generate_series(1, 50) AS g"
        )
        conn.execute("SELECT rowvec.create_embedding('reviews', 'stand-in', 'body')")
        conn.execute("CALL rowvec.backfill('reviews')")
        assert conn.execute("SELECT rows, pending FROM rowvec.status").fetchone() == (50, 0)
        assert conn.execute("SELECT key FROM rowvec.search('reviews', 'review 7')").fetchone() == (
            7,
        )
        assert len(conn.execute("SELECT * FROM rowvec.similar('reviews', '7')").fetchall()) == 10
        assert conn.execute("SELECT count(*) FROM rowvec.models()").fetchone() != (0,)

        # Who may embed is one grant, which the owner can give.
        member = sql.Identifier(f"{owned.owner} member")
        with owned.connect("postgres") as superuser:
            superuser.execute(sql.SQL("CREATE ROLE {} LOGIN").format(member))
        try:
            conn.execute(sql.SQL("GRANT rowvec_user TO {}").format(member))
            with owned.connect(f"{owned.owner} member") as embedder:
                found = embedder.execute("SELECT rowvec.embed('stand-in', 'x') IS NOT NULL")
                assert found.fetchone() == (True,)
        finally:
            with owned.connect("postgres") as superuser:
                superuser.execute(sql.SQL("DROP ROLE {}").format(member))


def test_tables_of_others_are_filled_as_their_owner(
    owned: Owned, worker: Worker, rowvec: Rowvec
) -> None:
    """The owner of the database needs to be a member of theirs, and lets them into nothing."""
    script = rowvec("migrate", "--bootstrap-sql", "--owner", owned.owner).stdout
    other = f"{owned.owner} other"
    names = {"other": sql.Identifier(other), "owner": sql.Identifier(owned.owner)}
    with owned.connect("postgres") as superuser:
        superuser.execute(script)
        superuser.execute(
            sql.SQL("CREATE ROLE {other} LOGIN; GRANT {other} TO {owner}").format(**names)
        )
    try:
        assert rowvec("migrate", "--dsn", owned.dsn).returncode == 0
        pointed = rowvec(
            "server", "set", "--dsn", owned.dsn, "--host", str(worker.folder), "--port", "5466",
            "--password-file", str(worker.password_file),
        )  # fmt: skip
        assert pointed.returncode == 0
        with owned.connect() as conn:
            conn.execute(sql.SQL("CREATE SCHEMA theirs AUTHORIZATION {other}").format(**names))
            with owned.connect(other) as they:
                they.execute("CREATE TABLE theirs.notes (id int PRIMARY KEY, body text)")
                they.execute("INSERT INTO theirs.notes VALUES (1, 'one'), (2, 'two')")
            conn.execute("SELECT rowvec.create_embedding('theirs.notes', 'stand-in', 'body')")
            conn.execute("CALL rowvec.backfill('theirs.notes')")
            found = conn.execute("SELECT rows, pending FROM rowvec.status").fetchone()
            assert found == (2, 0)
            assert conn.execute(
                "SELECT DISTINCT proowner::regrole::text,"
                " has_schema_privilege(proowner, 'rowvec_jobs', 'CREATE, USAGE') FROM pg_proc"
                " WHERE pronamespace = 'rowvec_jobs'::regnamespace"
            ).fetchall() == [(f'"{other}"', False)]
    finally:
        with owned.connect("postgres") as superuser:
            superuser.execute(
                sql.SQL("DROP SCHEMA IF EXISTS theirs CASCADE; DROP OWNED BY {other};"
                        " DROP ROLE {other}").format(**names)
            )  # fmt: skip


def test_uninstall_leaves_what_is_not_the_owners(owned: Owned, rowvec: Rowvec) -> None:
    script = rowvec("migrate", "--bootstrap-sql", "--owner", owned.owner).stdout
    with owned.connect("postgres") as superuser:
        superuser.execute(script)
    assert rowvec("migrate", "--dsn", owned.dsn, "--search-path").returncode == 0
    with owned.connect() as conn:
        assert conn.execute("SHOW search_path").fetchone() == ('"$user", public, rowvec',)

    asked = rowvec("uninstall", "--dsn", owned.dsn)
    assert asked.returncode == 1
    assert "schema rowvec" in asked.stderr

    done = rowvec("uninstall", "--dsn", owned.dsn, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    removal = json.loads(done.stdout)
    assert "schema rowvec" in removal["goes"]
    assert any(phrase.startswith("extension dblink") for phrase in removal["stays"])
    assert any(phrase.startswith("role rowvec_user") for phrase in removal["stays"])
    with owned.connect() as conn:
        assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert conn.execute("SELECT count(*) FROM pg_foreign_server").fetchone() == (0,)

    again = rowvec("uninstall", "--dsn", owned.dsn, "--yes")
    assert again.returncode == 3
    assert "not installed" in again.stderr
    assert rowvec("migrate", "--dsn", owned.dsn).returncode == 0
