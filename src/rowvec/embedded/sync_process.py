"""The sync of an instance: the process that keeps its embeddings filled."""

from __future__ import annotations

import time
from dataclasses import dataclass

from typing_extensions import override

from rowvec.db.connection import connect
from rowvec.db.sync_turns import syncs_connected
from rowvec.embedded.daemon import Daemon
from rowvec.errors import BackendFailed

_START_SECONDS = 60
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Sync(Daemon):
    """One `rowvec sync` of a database.

    It logs in as the role of `dsn`, and as that of `owner_dsn` for what only owners of tables may.
    """

    dsn: str
    owner_dsn: str

    command = "sync"

    def start(self) -> None:
        """Starts it and waits until it is connected; raises BackendFailed with its last words."""
        child, written = self.launch()
        limit = time.monotonic() + _START_SECONDS
        with connect(self.owner_dsn, application_name="rowvec up") as connection:
            while not syncs_connected(connection):
                if child.poll() is not None or time.monotonic() > limit:
                    self.stop()
                    raise BackendFailed(
                        f"rowvec sync does not start: {self.last_words(written)}",
                        hint=f"see {self.log}",
                    )
                time.sleep(_POLL_SECONDS)

    @override
    def options(self) -> list[str]:
        return ["--dsn", self.dsn, "--owner-dsn", self.owner_dsn]
