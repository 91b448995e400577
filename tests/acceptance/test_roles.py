"""All commands as four roles: each works, or says in a sentence what the role lacks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rowvec.cli import main
from rowvec.db.schema import bootstrap_sql, migrate
from rowvec.embedded.postgres import PostgresCluster
from support.command_names import leaves
from support.commands import run_in_process, run_rowvec
from support.postgres import Database
from support.workers import Worker, point_at

# What is typed of each command: {folder} is the test's own, {role} the role's name.
TYPED = {
    "status": "",
    "config": "",
    "psql": "-- -c SELECT",
    "migrate": "",
    "uninstall": "",
    "server set": "--dbname shop",
    "server rotate": "--password-file {folder}/none",
    "server show": "",
    "server ping": "",
    "doctor": "",
    "worker": "--password-file {folder}/none",
    "models list": "",
    "models add": "none --path {folder}/none --models {folder}/none.toml",
    "models pull": "none --models {folder}/none.toml",
    "models verify": "--models {folder}/none.toml",
    "models remove": "none --models {folder}/none.toml",
    "models test": "none",
    "load": "loaded_by_{role} {folder}/rows.csv",
    "export": "reviews {folder}/reviews.ndjson",
    "embed": "-m stand-in-small text",
    "plan": "reviews",
    "backfill": "reviews",
    "verify": "reviews",
    "retry": "reviews",
    "sync": "none",
    "index": "reviews",
    "tune": "reviews",
    "explain": "reviews text",
    "search": "reviews text",
    "similar": "reviews --key 1",
    "similarities": "reviews -k 2",
    "cluster": "reviews 2",
    "ask": "reviews text --relevance 0 --context-only",
    "score": "-m stand-in-small --between a b {folder}/rows.csv",
    "map": "reviews -o {folder}/map.html",
    "ui": "--listen 0.0.0.0:1",
    "viewer": "viewer_of_{role} reviews",
    "runner": "runner_of_{role}",
}

# They start a database of their own.
NOT_HERE = {"demo", "up", "down"}

# What they do not depend on is the database's.
_OF_FILES = {"config", "models add", "models pull", "models verify", "models remove", "models test"}
_OF_FILES |= {"server rotate", "worker", "ui", "sync", "uninstall"}

# Each role's, beside what those before it have.
_READS = {"status", "psql", "server show", "server ping", "doctor"}
_READS |= {"export", "explain", "search", "similar", "ask"}
WORKS = {
    "nobody": {"psql"},
    "member": _READS,
    "owner": set(TYPED) - _OF_FILES - {"viewer", "runner"},
    "superuser": set(TYPED) - _OF_FILES,
}


@dataclass(frozen=True)
class Shop:
    """A database with rowvec, and the names of its roles."""

    database: Database
    roles: dict[str, str]

    def dsn(self, role: str) -> str:
        return self.database.cluster.dsn(self.database.name, self.roles[role])


@pytest.fixture(scope="module")
def shop(cluster: PostgresCluster, worker: Worker) -> Iterator[Shop]:
    suffix = uuid.uuid4().hex[:8]
    roles = {name: f"{name}_{suffix}" for name in ("nobody", "member", "owner")}
    database = Database(f"shop_{suffix}", cluster)
    named = {name: sql.Identifier(role) for name, role in roles.items()}
    named["shop"] = sql.Identifier(database.name)
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        for role in roles.values():
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        admin.execute(sql.SQL("CREATE DATABASE {shop} OWNER {owner}").format(**named))
    shop = Shop(database, {**roles, "superuser": "postgres"})
    with database.connect() as superuser:
        superuser.execute(bootstrap_sql(roles["owner"]).encode())
    migrate(shop.dsn("owner"))
    point_at(database, worker)
    with database.connect(roles["owner"]) as owner:
        owner.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
        owner.execute("INSERT INTO reviews SELECT i, 'text ' || i FROM generate_series(1, 50) AS i")
        owner.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body')")
        owner.execute("CALL rowvec.backfill('reviews')")
        owner.execute(sql.SQL("GRANT rowvec_user TO {member}").format(**named))
        owner.execute(sql.SQL("GRANT SELECT ON reviews TO {member}").format(**named))
    yield shop
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {shop} WITH (FORCE)").format(**named))
        made = admin.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^(viewer|runner)_of_'")
        for role in (*(name for (name,) in made.fetchall()), *roles.values()):
            admin.execute(
                sql.SQL("DROP OWNED BY {role}; DROP ROLE {role}").format(role=sql.Identifier(role))
            )


def test_the_table_has_every_command() -> None:
    assert {" ".join(path) for path in leaves(main)} == TYPED.keys() | NOT_HERE


@pytest.mark.parametrize("role", WORKS)
def test_a_command_works_or_says_what_is_lacking(shop: Shop, role: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,body\n1,one.\n")
    worked = set()
    for command, arguments in TYPED.items():
        words = arguments.replace("{folder}", str(tmp_path)).replace("{role}", role).split()
        # psql takes over the process.
        run = run_rowvec if command == "psql" else run_in_process
        done = run(*command.split(), *words, ROWVEC_DSN=shop.dsn(role))
        said = f"rowvec {command} as {role}: {done.stdout}{done.stderr}"
        assert "Traceback" not in said
        if done.returncode == 0:
            worked.add(command)
        elif command == "doctor":
            assert "run: " in done.stdout, said
        elif command not in _OF_FILES:
            error, hint = (line for line in done.stderr.splitlines() if ": " in line[:7])
            assert error.startswith("error: "), said
            assert hint.startswith("hint: "), said
    assert WORKS[role] <= worked, f"{role} cannot: {sorted(WORKS[role] - worked)}"
