"""One Postgres and its worker below a folder: what `rowvec up` starts and `rowvec down` stops."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rowvec.config import Settings, read_secret
from rowvec.db.connection import EMBEDDED_DATABASE, RUNNER, connect
from rowvec.db.runner import make_runner
from rowvec.db.schema import ensure_database, migrate
from rowvec.db.server import set_worker
from rowvec.db.viewer import ensure_viewer
from rowvec.embedded.postgres import PostgresCluster
from rowvec.embedded.sync_process import Sync
from rowvec.embedded.worker_process import PORT, Worker
from rowvec.errors import ConfigError

Say = Callable[[str], None]

_PARAMETERS = {
    # The server's log would contain a failing statement, and with it the text to be embedded.
    "log_min_error_statement": "panic",
    # Many sessions on one model are what this is for; those that nobody opens cost next to nothing.
    "max_connections": "200",
}

_LOCK = "rowvec.lock"
_OURS = {_LOCK, "postgres", "postgres.partial", "run", "log", "models.toml", "worker.password",
         "worker.pid", "sync.pid"}  # fmt: skip


@dataclass(frozen=True)
class State:
    """What runs, for people and programs."""

    data: str
    dsn: str
    postgres_pid: int | None
    worker_pid: int | None
    worker_answers: bool
    sync_pid: int | None
    models: list[dict[str, object]]


class Instance:
    """A cluster, its database `rowvec`, its worker and its sync; all below `root` is theirs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cluster = PostgresCluster(root, _PARAMETERS)
        self.worker = Worker(root)
        self.sync = Sync(root, self.cluster.dsn(EMBEDDED_DATABASE, RUNNER), self.dsn)

    @classmethod
    def of(cls, settings: Settings) -> Instance:
        """The instance of `settings.data`."""
        return cls(settings.data)

    @property
    def dsn(self) -> str:
        """The URI of its database."""
        return self.cluster.dsn(EMBEDDED_DATABASE)

    def up(self, say: Say, *, sync: bool | None = None) -> None:
        """Creates what is missing and starts what does not run; `say` hears what is done.

        `sync` says whether one shall run; where None, one that runs goes on.
        Safe to call at any time, any number of times, also at once. Raises ConfigError where the
        folder cannot be used.
        """
        since = time.monotonic()
        self.cluster.check()
        self._check_not_taken()
        with self._lock(say):
            if not self.cluster.exists():
                say(f"Creating a Postgres cluster in {self.root}")
            self.cluster.create()
            self.worker.create()
            with self._worker_beside(say, since):
                self._database_up(say)
            if sync is not None:
                self._set_sync(say, wanted=sync)

    @contextmanager
    def _worker_beside(self, say: Say, since: float) -> Iterator[None]:
        """Starts the worker, which loads its models during the block, and waits for both."""
        if self.worker.is_current():
            yield
            return
        say("Restarting the worker" if self.worker.stop() else "Starting the worker")
        begun = self.worker.begin()
        try:
            yield
            self.worker.finish(begun)
        except BaseException:
            self.worker.stop()
            raise
        for sentence in self.worker.unready():
            say(sentence)
        say(f"Ready after {time.monotonic() - since:.1f} s")

    def _database_up(self, say: Say) -> None:
        """A running Postgres with the database, migrated, which knows the worker's address."""
        if not self.cluster.is_running():
            say("Starting Postgres")
            self.cluster.start()
        with connect(self.cluster.dsn()) as conn:
            ensure_database(conn, EMBEDDED_DATABASE)
        done = migrate(self.dsn, search_path=True)
        if done.applied or done.before != done.after:
            say(f"Migrated the database {EMBEDDED_DATABASE} to revision {done.after}")
        with connect(self.dsn) as conn:
            where = {"host": str(self.worker.folder), "port": str(PORT)}
            set_worker(conn, where, read_secret(self.worker.password_file))
            ensure_viewer(conn)
            make_runner(conn, RUNNER)

    def down(self, say: Say) -> bool:
        """Stops the worker, then Postgres; True if anything ran. The data stays."""
        if not self.cluster.exists():
            return False
        with self._lock(say):
            self._set_sync(say, wanted=False)
            if worker_ran := self.worker.running() is not None:
                say("Stopping the worker")
            self.worker.stop()
            if postgres_ran := self.cluster.is_running():
                say("Stopping Postgres")
                self.cluster.stop()
        return worker_ran or postgres_ran

    def state(self) -> State:
        """What runs now."""
        worker = self.worker.running()
        answers = worker is not None and self.worker.answers()
        return State(
            data=str(self.root),
            dsn=self.dsn,
            postgres_pid=self.cluster.pid() if self.cluster.is_running() else None,
            worker_pid=None if worker is None else worker.pid,
            worker_answers=answers,
            sync_pid=None if (sync := self.sync.running()) is None else sync.pid,
            models=self.worker.models() if answers else [],
        )

    def _set_sync(self, say: Say, *, wanted: bool) -> None:
        """Starts the sync, anew where it is of another release, or stops it."""
        if wanted and not self.sync.is_current():
            say("Restarting the sync" if self.sync.stop() else "Starting the sync")
            self.sync.start()
        elif not wanted and self.sync.running() is not None:
            say("Stopping the sync")
            self.sync.stop()

    def _check_not_taken(self) -> None:
        """Raises ConfigError if the folder has files that are not of an instance."""
        try:
            if self.cluster.exists() or not self.root.exists():
                return
            strange = sorted(
                entry.name
                for entry in self.root.iterdir()
                if entry.name not in _OURS and not entry.name.startswith("binaries-")
            )
        except (NotADirectoryError, PermissionError) as exc:
            raise ConfigError(
                f"{self.root} cannot be used for data: {exc.strerror}",
                hint="choose another folder with --data",
            ) from exc
        if strange:
            raise ConfigError(
                f"{self.root} is taken: it holds {', '.join(strange[:3])}",
                hint="choose an empty folder, or one that is not there yet, with --data",
            )

    @contextmanager
    def _lock(self, say: Say) -> Iterator[None]:
        """One `up` or `down` at a time; the lock ends with the process that holds it."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / _LOCK).open("w")
        except OSError as exc:
            raise ConfigError(
                f"cannot write to {self.root}: {exc.strerror}",
                hint="choose another folder with --data",
            ) from exc
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another rowvec is at work here, waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
