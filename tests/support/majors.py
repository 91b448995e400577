"""A Postgres of each major: 18 from the wheel, the older ones stock servers.

ROWVEC_TEST_POSTGRES is the folder that has them, `15` and so on, as `scripts/postgres.py` makes
them: outside the checkout, since they outlive it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from platformdirs import user_cache_path
from psycopg import sql

from rowvec.db.schema import migrate
from rowvec.embedded import binaries
from rowvec.embedded.postgres import SUPERUSER, PostgresCluster
from support.postgres import UNSAFE
from support.skips import missing

MAJORS = (15, 16, 17, 18)
SERVERS = Path(
    os.environ.get("ROWVEC_TEST_POSTGRES") or user_cache_path("rowvec") / "test-postgres"
)

PostgresOf = Callable[[int], PostgresCluster]


@dataclass(frozen=True)
class StockCluster(PostgresCluster):
    """A cluster of the server in a folder; whoever reaches its socket may be any role."""

    server: Path = field(kw_only=True)

    def binary(self, name: str) -> Path:
        return (self._copy if self._copy.exists() else self.server) / "bin" / name

    @property
    def _copy(self) -> Path:
        return self.root / "server"

    def create(self) -> None:
        self._make_folders()
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            user = binaries.system_user()
            for folder in (self.data, self.run, self.log.parent):
                os.chown(folder, user.pw_uid, user.pw_gid)
            # Postgres runs as a user who may not pass the folder of root's cache.
            if not all(binaries.is_passable(parent) for parent in self.server.parents):
                shutil.copytree(self.server, self._copy, symlinks=True)
        binaries.run(
            self.binary("initdb"), "-D", str(self.data), "-U", SUPERUSER, "--encoding=UTF8",
            "--locale=C.UTF-8", "--auth=trust",
        )  # fmt: skip


@pytest.fixture(scope="session")
def postgres_of(request: pytest.FixtureRequest, folder: Path) -> Iterator[PostgresOf]:
    """Starts the server of a major at its first use; one that is absent is loud in CI."""
    running: dict[int, PostgresCluster] = {}
    with contextlib.ExitStack() as at_the_end:

        def find(major: int) -> PostgresCluster:
            if major == 18:
                cluster: PostgresCluster = request.getfixturevalue("cluster")
                return cluster
            if major not in running:
                server = SERVERS / str(major)
                if not server.is_dir():
                    missing(
                        f"postgres{major}",
                        f"no Postgres {major}: make it by scripts/postgres.py {major} {server}",
                    )
                cluster = StockCluster(folder / f"cluster-{major}", UNSAFE, server=server)
                cluster.create()
                cluster.start()
                at_the_end.callback(cluster.stop, immediate=True)
                running[major] = cluster
            return running[major]

        yield find


def migrated_template(cluster: PostgresCluster) -> str:
    """The name of a migrated database to clone, made at the first call.

    No session fixture: that would be made anew whenever a test of another major came between.
    """
    name = "migrated_template"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        found = admin.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is None:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            migrate(cluster.dsn(name), search_path=False)
    return name
