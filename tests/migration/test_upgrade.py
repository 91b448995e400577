"""Upgrades from every recorded release, and the promise that makes them possible.

`scripts/record_release.py` records a release. What this checkout would record is upgraded, too: it
shows that a recording made today can be restored, filled and migrated, before there is a release.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from rowvec.db import schema
from rowvec.embedded.postgres import PostgresCluster
from support.commands import run_in_process
from support.places import ROOT
from support.postgres import CreateDatabase, Database
from support.workers import Worker, point_at

RECORDED = sorted((Path(__file__).parent / "released").glob("*.sql"))
MIGRATIONS = ROOT / "migrations"


def record(folder: Path) -> Path:
    """A copy of the migrations in `folder`, recorded there as release 99.0.0; gives its dump."""
    shutil.copytree(MIGRATIONS, folder / "migrations")
    script = ROOT / "scripts" / "record_release.py"
    subprocess.run([sys.executable, script, "99.0.0", folder], check=True)
    return folder / "tests" / "migration" / "released" / "99.0.0.sql"


@pytest.fixture(scope="module")
def recorded_now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dump that this checkout would record."""
    return record(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(params=[*RECORDED, None], ids=lambda file: file.stem if file else "this checkout")
def released(
    request: pytest.FixtureRequest,
    create_database: CreateDatabase,
    migrated_database: Database,
    recorded_now: Path,
) -> Database:
    """A database as a release left it, of which every function has changed since.

    `migrated_database` is asked for, since it makes the roles that a dump does not have.
    """
    database = create_database("template0")
    psql = migrated_database.cluster.binary("psql")
    dump = request.param or recorded_now
    subprocess.run(
        [psql, "-qX", "-v", "ON_ERROR_STOP=1", "-d", database.dsn, "-f", "-"],
        input=dump.read_bytes(), stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    with database.connect() as conn:
        conn.execute("UPDATE rowvec.sql_object SET sha256 = 'of another text'")
    return database


def tables_and_views(database: Database, cluster: PostgresCluster) -> str:
    """Everything about them, as pg_dump says it."""
    dumped = subprocess.run(
        [cluster.binary("pg_dump"), "--schema-only", "--table=rowvec.*", "-d", database.dsn],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return re.sub(r"^\\(un)?restrict .*$", "", dumped, flags=re.MULTILINE)


def signatures(database: Database, names: Collection[str] | None = None) -> set[tuple[str, str]]:
    """The functions of the schema, or those of the given names, each with its arguments."""
    with database.connect() as conn:
        found = conn.execute(
            "SELECT proname, pg_get_function_identity_arguments(oid) FROM pg_proc"
            " WHERE pronamespace = 'rowvec'::regnamespace"
        ).fetchall()
    return {(name, arguments) for name, arguments in found if names is None or name in names}


def test_an_upgraded_database_is_as_a_new_one(
    released: Database, migrated_database: Database, cluster: PostgresCluster
) -> None:
    done = schema.migrate(released.dsn)
    assert done.after == schema.head()
    assert "functions/embed.sql" in done.applied
    wanted = tables_and_views(migrated_database, cluster)
    assert tables_and_views(released, cluster) == wanted
    assert "CREATE TABLE rowvec.embedding " in wanted
    # One more argument makes a second function beside the old one, and calls ambiguous.
    functions = signatures(migrated_database)
    assert signatures(released, {name for name, _ in functions}) == functions


def test_what_a_release_filled_stays_and_is_kept_filled(released: Database, worker: Worker) -> None:
    """Declared and filled by the functions of the release; an upgrade embeds nothing again."""
    point_at(released, worker)
    with released.connect() as conn:

        def rows(statement: str) -> list[tuple[Any, ...]]:
            return conn.execute(statement.encode()).fetchall()

        def backfill(embedding: str) -> None:
            job = ("backfill", "reviews", "--embedding", embedding, "--dsn", released.dsn)
            done = run_in_process(*job)
            assert done.returncode == 0, done.stderr

        conn.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
        conn.execute(
            "INSERT INTO reviews SELECT i, 'review ' || i FROM generate_series(1, 20) AS i"
        )
        conn.execute("UPDATE reviews SET body = 'refuse me' WHERE id = 20")
        conn.execute("SELECT rowvec.create_embedding('reviews', 'refusing', 'body')")
        conn.execute("CALL rowvec.backfill('reviews')")
        conn.execute(
            "SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body', name => 'chunks',"
            " destination => 'table')"
        )
        conn.execute("CREATE VIEW mine AS SELECT source, pending FROM rowvec.status")
        stand = "SELECT embedding, rows, pending, failed FROM rowvec.status ORDER BY 1"
        # A row that is written again has another xmin.
        vectors = "SELECT id, xmin::text, embedding::text FROM reviews ORDER BY id"
        before = rows(stand), rows(vectors)
        assert before[0] == [("chunks", 20, 20, 0), ("embedding", 20, 1, 1)]

        schema.migrate(released.dsn)
        backfill("embedding")
        assert (rows(stand), rows(vectors)) == before

        conn.execute("UPDATE reviews SET body = 'a zebra' WHERE id = 20")
        backfill("embedding")
        backfill("chunks")
        assert rows(stand) == [("chunks", 20, 0, 0), ("embedding", 20, 0, 0)]
        found = "SELECT key FROM rowvec.search('reviews', 'a zebra', embedding => '{}', k => 1)"
        for embedding in ("embedding", "chunks"):
            assert rows(found.format(embedding)) == [(20,)]


def edited(migrations: Path) -> list[str]:
    """The frozen revisions that are not what they were when they were released."""
    files = {file.name: file.read_bytes() for file in (migrations / "versions").glob("[0-9]*.py")}
    frozen = [line.split() for line in (migrations / "frozen.txt").read_text().splitlines()]
    return [
        name
        for sha256, name in frozen
        if hashlib.sha256(files.get(name, b"")).hexdigest() != sha256
    ]


def test_no_released_revision_was_edited() -> None:
    """Until the first release nothing is frozen, and revisions may be edited in place."""
    assert edited(MIGRATIONS) == []
    assert bool((MIGRATIONS / "frozen.txt").read_text()) == bool(RECORDED)


def test_an_edited_revision_is_found(tmp_path: Path, recorded_now: Path) -> None:
    shutil.copytree(recorded_now.parents[3] / "migrations", tmp_path / "migrations")
    revisions = tmp_path / "migrations" / "versions"
    assert edited(tmp_path / "migrations") == []
    with (revisions / "0002_job_functions.py").open("a") as file:
        file.write("# one more line\n")
    (revisions / "0001_catalog.py").rename(revisions / "0001_renamed.py")
    assert edited(tmp_path / "migrations") == ["0001_catalog.py", "0002_job_functions.py"]
