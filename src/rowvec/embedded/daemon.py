"""A `rowvec` command of an instance as a process that outlives its starter."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from rowvec.embedded import process

_STOP_SECONDS = 20


@dataclass(frozen=True)
class Daemon(ABC):
    """One such process; its log and its pid file lie below `root`. `command` names it."""

    root: Path

    command: ClassVar[str]

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.root / "log" / f"{self.command}.log"

    @property
    def pid_file(self) -> Path:
        """Number, birth and fingerprint of the process."""
        return self.root / f"{self.command}.pid"

    @abstractmethod
    def options(self) -> list[str]:
        """The words behind the command."""

    def depends_on(self) -> bytes:
        """What else the process would have to be started again for."""
        return b""

    def running(self) -> process.Remembered | None:
        """The process, if it lives."""
        return process.recall(self.pid_file)

    def is_current(self) -> bool:
        """Whether it runs, with this release and as it would be started now."""
        found = self.running()
        return found is not None and found.fingerprint == self._fingerprint()

    def stop(self) -> bool:
        """Stops it if it runs, letting it finish what it has begun; True if it ran."""
        found = self.running()
        if found is not None:
            process.end(found.pid, self.grace_seconds())
        self.pid_file.unlink(missing_ok=True)
        return found is not None

    def grace_seconds(self) -> float:
        """How long it may take to end."""
        return _STOP_SECONDS

    def launch(self) -> tuple[subprocess.Popen[bytes], int]:
        """Starts and remembers it; gives where its part of the log begins, too."""
        with self.log.open("ab") as output:
            written = output.tell()
            # A session of its own: Ctrl-C in the terminal, or its end, does not reach it.
            child = subprocess.Popen(
                self._arguments(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        process.remember(self.pid_file, child.pid, self._fingerprint())
        return child, written

    def last_words(self, position: int) -> str:
        """The end of its log, from there on."""
        with self.log.open("rb") as log:
            log.seek(position)
            lines = log.read().decode(errors="replace").strip().splitlines()
        return " ".join(lines[-3:])[-600:]

    def _arguments(self) -> list[str]:
        # -P: a folder named rowvec in the working directory is not imported.
        return [sys.executable, "-P", "-m", "rowvec", self.command, *self.options()]

    def _fingerprint(self) -> str:
        arguments = map(os.fsencode, self._arguments())
        parts = (version("rowvec").encode(), self.depends_on(), *arguments)
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
