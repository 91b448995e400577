"""Real workers, each ended with what it was started for: a test, a module or the session."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowvec.client import WorkerClient
from rowvec.embedded.postgres import PostgresCluster
from support.models import MINILM, MODELS
from support.places import ROWVEC, clean_environment
from support.postgres import CreateDatabase, Database
from support.waiting import WAIT_SECONDS, eventually

_numbers = count()


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


StartWorker = Callable[..., Worker]


@dataclass
class Workers:
    """Starts workers and ends them; graphs and other files of models are kept in `cache`."""

    folder: Path
    cache: Path
    started: list[Worker] = field(default_factory=list)

    def start(
        self,
        models: str = MODELS,
        *arguments: str,
        socket_folder: Path | None = None,
        verbose: bool = False,
        python: Path | None = None,
    ) -> Worker:
        """A worker of these models that takes connections; raises where it does not start.

        `python` is of another environment than this one.
        """
        program = [ROWVEC] if python is None else [python, "-P", "-m", "rowvec"]
        home = socket_folder or self.folder / f"worker-{next(_numbers)}"
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        models_file, password_file = home / "models.toml", home / "password"
        models_file.write_text(models)
        password_file.write_text("a password of the tests")
        log = home / "worker.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*program, *(["--verbose"] if verbose else []), "worker", "--listen", home,
                 "--models", models_file, "--password-file", password_file,
                 "--cache-dir", self.cache, *arguments],
                env=clean_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        worker = Worker(home, models_file, password_file, process, log)
        self.started.append(worker)
        eventually(worker.is_listening)
        return worker

    def end(self) -> None:
        """Ends all that still run."""
        for worker in self.started:
            if worker.process.poll() is None:
                worker.process.terminate()
        for worker in self.started:
            worker.process.wait(timeout=WAIT_SECONDS)


@contextmanager
def _workers(folder: Path, cache: Path) -> Iterator[StartWorker]:
    workers = Workers(folder, cache)
    yield workers.start
    workers.end()


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of all workers, shared by the processes of a parallel session."""
    base = tmp_path_factory.getbasetemp()
    # With xdist every process has a folder of its own within the session's.
    shared = base.parent if base.name.startswith("popen-") else base
    return shared / "model-cache"


@pytest.fixture
def start_worker(folder: Path, model_cache: Path) -> Iterator[StartWorker]:
    """Starts workers that end with the test: to stop, freeze or kill."""
    with _workers(folder, model_cache) as start:
        yield start


@pytest.fixture(scope="module")
def start_module_worker(folder: Path, model_cache: Path) -> Iterator[StartWorker]:
    """Starts workers that end with the module."""
    with _workers(folder, model_cache) as start:
        yield start


@pytest.fixture(scope="session")
def start_session_worker(folder: Path, model_cache: Path) -> Iterator[StartWorker]:
    """Starts workers that end with the session."""
    with _workers(folder, model_cache) as start:
        yield start


@pytest.fixture(scope="session")
def worker(start_session_worker: StartWorker) -> Worker:
    """The worker that most tests share; it answers HTTP, too."""
    return start_session_worker(MODELS, "--http-listen", "127.0.0.1:0")


@pytest.fixture(scope="session")
def loaded_minilm(worker: Worker) -> None:
    """The shared worker has MiniLM: on a busy machine that takes longer than a request may."""

    async def load() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            await client.embed(MINILM, ["loads the model"], deadline_ms=2000 * WAIT_SECONDS)

    asyncio.run(load())


@pytest.fixture(autouse=True)
def _minilm(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("minilm"):
        request.getfixturevalue("loaded_minilm")


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


@pytest.fixture
def database(create_database: CreateDatabase, _template: str, worker: Worker) -> Database:
    """A migrated database whose server entry is the shared worker."""
    database = create_database(_template)
    point_at(database, worker)
    return database


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    """An autocommit connection to the database, as its owner."""
    with database.connect() as connection:
        yield connection


@contextmanager
def filled_template(
    cluster: PostgresCluster, template: str, name: str, worker: Worker
) -> Iterator[Database]:
    """A database to clone, a clone of `template` itself, for what a module fills once."""
    database = Database(name, cluster)
    admin = Database("postgres", cluster)
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with admin.connect() as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy").format(**names)
        )
    point_at(database, worker)
    yield database
    with admin.connect() as conn:
        conn.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
