"""The sync of an instance: the process that keeps its embeddings filled."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rowvec.db.connection import connect, database_errors
from rowvec.db.queries import query
from rowvec.embedded import process
from rowvec.errors import BackendFailed

_START_SECONDS = 60
_STOP_SECONDS = 20
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Sync:
    """One `rowvec sync` of a database; its log and its pid file lie below `root`.

    It logs in as the role of `dsn`, and as that of `owner_dsn` for what only owners of tables may.
    """

    root: Path
    dsn: str
    owner_dsn: str

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.root / "log" / "sync.log"

    @property
    def pid_file(self) -> Path:
        """Number, birth and fingerprint of the process."""
        return self.root / "sync.pid"

    def running(self) -> process.Remembered | None:
        """The process, if it lives."""
        return process.recall(self.pid_file)

    def is_current(self) -> bool:
        """Whether it runs, with this release."""
        found = self.running()
        return found is not None and found.fingerprint == self._fingerprint()

    def start(self) -> None:
        """Starts it and waits until it is connected; raises BackendFailed with its last words."""
        with self.log.open("ab") as output:
            written = output.tell()
            # A session of its own: Ctrl-C in the terminal, or its end, does not reach it.
            child = subprocess.Popen(
                self._arguments(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        process.remember(self.pid_file, child.pid, self._fingerprint())
        limit = time.monotonic() + _START_SECONDS
        with connect(self.owner_dsn, application_name="rowvec up") as connection, database_errors():
            while not connection.execute(query("syncs_connected")).fetchone():
                if child.poll() is not None or time.monotonic() > limit:
                    self.stop()
                    raise BackendFailed(
                        f"rowvec sync does not start: {self._last_words(written)}",
                        hint=f"see {self.log}",
                    )
                time.sleep(_POLL_SECONDS)

    def stop(self) -> bool:
        """Stops it if it runs, after the batch in hand; True if it ran."""
        found = self.running()
        if found is not None:
            process.end(found.pid, _STOP_SECONDS)
        self.pid_file.unlink(missing_ok=True)
        return found is not None

    def _arguments(self) -> list[str]:
        # -P: a folder named rowvec in the working directory is not imported.
        return [
            sys.executable, "-P", "-m", "rowvec", "sync",
            "--dsn", self.dsn, "--owner-dsn", self.owner_dsn,
        ]  # fmt: skip

    def _fingerprint(self) -> str:
        """Changes with whatever a running process would have to be restarted for."""
        parts = (version("rowvec").encode(), *map(os.fsencode, self._arguments()))
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]

    def _last_words(self, position: int) -> str:
        with self.log.open("rb") as log:
            log.seek(position)
            lines = log.read().decode(errors="replace").strip().splitlines()
        return " ".join(lines[-3:])[-600:]
