"""What the faults happen on: two majors of Postgres, a line that can be cut, workers to strike."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from rowvec.db.schema import migrate
from rowvec.db.server import set_worker
from rowvec.embedded.postgres import Cluster
from support.majors import PostgresOf
from support.waiting import eventually
from support.workers import StartWorker, Worker

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


@pytest.fixture(scope="session", params=[18, 15], ids=["postgres18", "postgres15"])
def postgres(request: pytest.FixtureRequest, postgres_of: PostgresOf) -> Cluster:
    """One cluster of each end of the majors."""
    return postgres_of(request.param)


@pytest.fixture(scope="session")
def _migrated(postgres: Cluster) -> str:
    """A database to clone, migrated."""
    name = "faults_template"
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(postgres.dsn(name), search_path=False)
    return name


@dataclass
class Base:
    """A migrated database of one test, on one of the majors."""

    name: str
    cluster: Cluster

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def connect(self, user: str = "postgres") -> psycopg.Connection:
        """An autocommit connection; the caller closes it."""
        return psycopg.connect(self.cluster.dsn(self.name, user), autocommit=True)

    def point_at(self, host: str, port: int | str, password: str, **options: str) -> None:
        """Makes what listens there the worker of the database."""
        with self.connect() as connection:
            wanted = {"host": host, "port": str(port), **options}
            set_worker(connection, wanted, SecretStr(password))

    def waits(self, pid: int) -> bool:
        """Whether that session is in the waiting loop of a call."""
        with self.connect() as watcher:
            row = watcher.execute(
                "SELECT wait_event FROM pg_stat_activity WHERE pid = %s", (pid,)
            ).fetchone()
        return row == ("PgSleep",)


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
def shared_worker(start_session_worker: StartWorker) -> Any:
    """A worker that tests may ask, and strike where it goes on by itself.

    Batches are small, so that what was asked for last is not far behind what was dropped.
    """
    return start_session_worker(MODELS, "--max-batch-tokens", "64")


@pytest.fixture
def struck_worker(start_worker: StartWorker) -> Any:
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


_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27


@dataclass
class Proxy:
    """A TCP port before a worker's socket, whose packets can be lost and whose lines cut."""

    target: Path
    lines: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._forwarding = threading.Event()
        self._forwarding.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.target))
                self.lines.append((client, server))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._forwarding.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def stall(self) -> None:
        """Takes what comes and passes nothing on; the other end is acknowledged everything."""
        self._forwarding.clear()

    def flow(self) -> None:
        """Passes on what was held up, and everything from now on."""
        self._forwarding.set()

    def lose_packets(self) -> None:
        """From now on the kernel drops every packet of clients, as a broken network does."""
        instruction = struct.pack("HBBI", 0x06, 0, 0, 0)  # return 0: keep nothing of the packet
        buffer = ctypes.create_string_buffer(instruction)
        program = struct.pack("HL", 1, ctypes.addressof(buffer))
        for end in (self._door, *(client for client, _ in self.lines)):
            end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def cut(self) -> None:
        """Resets every line."""
        reset = struct.pack("ii", 1, 0)
        for ends in self.lines:
            for end in ends:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                    # Not close alone: a thread that reads keeps the socket.
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.lines.clear()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._forwarding.set()
        self.cut()


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


@dataclass
class Striker:
    """Does something once a session waits for its worker."""

    base: Base
    eventually: Callable[..., Any]

    @contextlib.contextmanager
    def __call__(
        self, connection: psycopg.Connection, strike: Callable[[], object]
    ) -> Iterator[None]:
        pid = connection.info.backend_pid

        def wait_and_strike() -> None:
            self.eventually(lambda: self.base.waits(pid))
            strike()

        thread = threading.Thread(target=wait_and_strike)
        thread.start()
        yield
        thread.join()


@pytest.fixture
def while_it_waits(base: Base) -> Striker:
    """Strikes in the middle of a call."""
    return Striker(base, eventually)
