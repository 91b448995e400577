"""What the faults happen on: two majors of Postgres, a line that can be cut, workers to strike."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rowvec.db import schema
from rowvec.db.queries import sql_file, sql_files
from rowvec.db.schema import migrate
from rowvec.embedded import binaries
from rowvec.embedded.postgres import Cluster
from support.lines import Base, Proxy, Striker
from support.workers import StartWorker, Worker

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
SHARE_15 = Path("/usr/share/postgresql/15")
PGVECTOR_15 = SHARE_15 / "extension/vector.control"
EXTENSION_OF_15 = Path(__file__).parent / "postgres15"

MODELS = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
max_tokens = 256

[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
max_tokens = 256
delay_ms_per_text = 20

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
refuse = "refuse me"

[[model]]
name = "deadly"
kind = "stand-in"
dimensions = 8
die = "kill the engine"

[[model]]
name = "hanging"
kind = "stand-in"
dimensions = 8
hang = "hang the engine"
"""


class Postgres15(Cluster):
    """Debian's Postgres 15, whose libpq knows TLS.

    Without a package of pgvector for it, it has the names of pgvector and not the library.
    """

    def binary(self, name: str) -> Path:
        return self._copy / "lib/postgresql/15/bin" / name

    @property
    def _copy(self) -> Path:
        return self.root / "postgres-15"

    def create(self) -> None:
        # Postgres finds its files by paths relative to its own: programs are copied, what they
        # read is linked, and one extension more lies beside Debian's.
        self.root.mkdir()
        self.root.chmod(0o711)
        for folder in (self.run, self.log.parent):
            folder.mkdir()
            folder.chmod(0o777)
        programs = self.binary("")
        programs.mkdir(parents=True)
        for program in ("initdb", "pg_ctl", "postgres"):
            shutil.copy(DEBIAN_15 / program, programs)
        (programs.parent / "lib").symlink_to(DEBIAN_15.parent / "lib")
        shared = self._copy / "share/postgresql/15"
        (shared / "extension").mkdir(parents=True)
        for path in SHARE_15.iterdir():
            if path.name != "extension":
                (shared / path.name).symlink_to(path)
        for path in (SHARE_15 / "extension").iterdir():
            (shared / "extension" / path.name).symlink_to(path)
        if not PGVECTOR_15.exists():
            shutil.copytree(EXTENSION_OF_15, shared / "extension", dirs_exist_ok=True)
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            user = binaries.system_user()
            os.chown(self.data, user.pw_uid, user.pw_gid)
        binaries.run(
            self.binary("initdb"), "-D", str(self.data), "-U", "postgres", "--encoding=UTF8",
            "--locale=C.UTF-8", "--auth=trust",
        )  # fmt: skip


@pytest.fixture(scope="session", params=[18, 15], ids=["postgres18", "postgres15"])
def postgres(request: pytest.FixtureRequest, folder: Path) -> Iterator[Cluster]:
    """One cluster of each major that is there."""
    if request.param == 18:
        yield request.getfixturevalue("cluster")
        return
    if not (DEBIAN_15 / "postgres").exists():
        pytest.skip(f"no Postgres 15 of Debian in {DEBIAN_15}")
    cluster = Postgres15(folder / "cluster-15", {"fsync": "off", "log_statement": "none"})
    cluster.create()
    cluster.start()
    yield cluster
    cluster.stop(immediate=True)


@pytest.fixture(scope="session")
def _migrated(postgres: Cluster) -> str:
    """A database to clone, migrated."""
    name = "faults_template"
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    if isinstance(postgres, Postgres15) and not PGVECTOR_15.exists():
        _install_without_pgvector(postgres.dsn(name))
    else:
        migrate(postgres.dsn(name), search_path=False)
    return name


def _install_without_pgvector(dsn: str) -> None:
    """What `migrate` does, with bodies unchecked: some call functions that only pgvector has."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(schema.bootstrap_sql("postgres"))
        schema._upgrade(dsn)
        conn.execute("SET check_function_bodies = off")
        where = {"vector": "public", "dblink": "rowvec_dblink"}
        for folder in ("functions", "views"):
            for text in sql_files(folder).values():
                conn.execute(schema.render(text, where, conn.info.server_version))
        conn.execute(schema.render(sql_file("grants.sql"), where, conn.info.server_version))


@pytest.fixture
def base(postgres: Cluster, _migrated: str) -> Iterator[Base]:
    """A clone of the migrated database; its worker is nowhere."""
    base = Base(f"fault_{uuid.uuid4().hex[:12]}", postgres)
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(base.name), sql.Identifier(_migrated)
            )
        )
        yield base
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(base.name)))


@pytest.fixture(scope="session")
def models_of_faults() -> str:
    """The models of the workers here."""
    return MODELS


@pytest.fixture(scope="session")
def shared_worker(start_session_worker: StartWorker) -> Worker:
    """A worker that tests may ask, and strike where it goes on by itself.

    Batches are small, so that what was asked for last is not far behind what was dropped.
    """
    return start_session_worker(MODELS, "--max-batch-tokens", "64")


@pytest.fixture
def struck_worker(start_worker: StartWorker) -> Worker:
    """A worker of this test's own, to stop, freeze and kill."""
    return start_worker(MODELS, "--engine-stall-seconds", "0.5")


@pytest.fixture
def conn(base: Base, shared_worker: Worker) -> Iterator[psycopg.Connection]:
    """A session whose worker is the shared one."""
    base.point_at(str(shared_worker.folder), 5466, shared_worker.password)
    with base.connect() as connection:
        yield connection


@pytest.fixture
def struck(base: Base, struck_worker: Worker) -> Iterator[psycopg.Connection]:
    """A session whose worker is this test's own."""
    base.point_at(str(struck_worker.folder), 5466, struck_worker.password)
    with base.connect() as connection:
        yield connection


@pytest.fixture
def proxy(shared_worker: Worker) -> Iterator[Proxy]:
    """A proxy before the shared worker."""
    proxy = Proxy(shared_worker.folder / ".s.PGSQL.5466")
    yield proxy
    proxy.close()


@pytest.fixture
def through_proxy(base: Base, proxy: Proxy, shared_worker: Worker) -> Iterator[psycopg.Connection]:
    """A session that reaches the shared worker through the proxy."""
    base.point_at("127.0.0.1", proxy.port, shared_worker.password)
    with base.connect() as connection:
        yield connection


@pytest.fixture
def while_it_waits(base: Base) -> Striker:
    """Strikes in the middle of a call."""
    return Striker(base)
