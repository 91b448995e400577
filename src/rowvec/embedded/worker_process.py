"""The worker of an instance: its list of models, its password, its process."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import pq
from psycopg.conninfo import make_conninfo
from typing_extensions import override

from rowvec.config import read_secret
from rowvec.embedded import process
from rowvec.embedded.daemon import Daemon
from rowvec.errors import BackendFailed, ConfigError
from rowvec.extras import demand
from rowvec.models.listing import MINILM, MINILM_PACKAGE, MINILM_SHA256, read_listing

PORT = 5466
_START_SECONDS = 60
_HUNG_SECONDS = 2
_POLL_SECONDS = 0.02

# A model that was never compiled on this machine takes a minute, on a slow one some.
_WARM_SECONDS = 300

_MODELS_HEAD = """\
# The models that may be loaded; no other name reaches the disk. After a change: rowvec up
#
# [[model]]
# name = "intfloat/e5-small-v2"          # what SQL calls it: embed('intfloat/e5-small-v2', ...)
# aliases = ["e5"]                       # other names for it
# kind = "sentence-transformers"
# path = "/srv/models/e5-small-v2"       # a folder; or: package = "...", folder = "..." of an
#                                        # installed Python package
# sha256 = "..."                         # of its model.safetensors, checked when it is loaded
# query_prompt = "query: "               # what a question is prefixed with; by default the
# document_prompt = "passage: "          # model's own prompts, where it has them
# warm = true                            # loaded at start, not at the first request
"""

_MODELS_MINILM = f"""
[[model]]
name = "{MINILM}"
aliases = ["all-MiniLM-L6-v2"]
kind = "sentence-transformers"
package = "{MINILM_PACKAGE}"
folder = "model"
sha256 = "{MINILM_SHA256}"
warm = true
"""


@dataclass(frozen=True)
class Begun:
    """A worker that was just started, and where its part of the log begins."""

    child: subprocess.Popen[bytes]
    written: int


@dataclass(frozen=True)
class Worker(Daemon):
    """One `rowvec worker`, on a unix socket in run/."""

    command = "worker"

    @property
    def models_file(self) -> Path:
        """Which models it may load; the user's to edit."""
        return self.root / "models.toml"

    @property
    def password_file(self) -> Path:
        """The password that Postgres and the jobs show it."""
        return self.root / "worker.password"

    @property
    def folder(self) -> Path:
        """The folder of its socket, `host` to libpq."""
        return self.root / "run"

    @property
    def socket(self) -> Path:
        """Its socket."""
        return self.folder / f".s.PGSQL.{PORT}"

    def conninfo(self) -> str:
        """How libpq reaches it."""
        return make_conninfo(
            host=str(self.folder), port=PORT, user="rowvec", dbname="rowvec", connect_timeout=2,
            password=read_secret(self.password_file).get_secret_value(),
        )  # fmt: skip

    def create(self) -> None:
        """Makes the password and the list of models where they are missing.

        Raises ConfigError where the list that is there cannot be read.
        """
        if not self.password_file.exists():
            _write_private(self.password_file, secrets.token_urlsafe(32) + "\n")
        if not self.models_file.exists():
            installed = importlib.util.find_spec(MINILM_PACKAGE) is not None
            text = _MODELS_HEAD + (_MODELS_MINILM if installed else "")
            self.models_file.write_text(text, encoding="utf-8")
        read_listing(self.models_file)

    @override
    def running(self) -> process.Remembered | None:
        """The process, if it lives; also one whose pid file was lost."""
        found = super().running()
        if found is None and (pid := process.listener(self.socket)) is not None:
            return process.Remembered(pid)
        return found

    @override
    def is_current(self) -> bool:
        return super().is_current() and self.answers()

    def answers(self) -> bool:
        """Whether it answers a ping."""
        return self._ask("ping") is not None

    def models(self) -> list[dict[str, Any]]:
        """The models it lists, none where it does not answer."""
        return [json.loads(row) for row in self._ask("models") or ()]

    def unready(self) -> list[str]:
        """Waits until the warm models are loaded; a sentence about each that is not."""
        found = []
        for spec in read_listing(self.models_file).specs:
            if spec.warm and "text" in spec.description.reads:
                # Of all that needs the model in memory, what every kind can do.
                counted = {"op": "count_tokens", "model": spec.name, "inputs": ["a text"]}
                deadline = {"deadline_ms": 1000 * _WARM_SECONDS}
                answer = self._answer({"v": 1, **counted, **deadline})
                if answer is not None and answer.status != pq.ExecStatus.TUPLES_OK:
                    said = answer.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"no answer"
                    found.append(f"{spec.name} is not loaded: {said.decode()}")
        return found

    def _ask(self, operation: str) -> list[str] | None:
        """The only column of the answer, None where there is none."""
        answer = self._answer({"v": 1, "op": operation})
        if answer is None or answer.status != pq.ExecStatus.TUPLES_OK:
            return None
        return [(answer.get_value(n, 0) or b"").decode() for n in range(answer.ntuples)]

    def _answer(self, request: dict[str, Any]) -> pq.abc.PGresult | None:
        """What it answers, None where nobody is there."""
        try:
            connection = pq.PGconn.connect(self.conninfo().encode())
        except ConfigError:
            return None  # no password yet, so no worker either
        try:
            if connection.status != pq.ConnStatus.OK:
                return None
            return connection.exec_(json.dumps(request).encode())
        finally:
            connection.finish()

    def begin(self) -> Begun:
        """Starts it; it loads its warm models while others work. Raises ConfigError."""
        demand("the worker", "prometheus_client")
        return Begun(*self.launch())

    def finish(self, begun: Begun) -> None:
        """Waits until it answers; raises BackendFailed with its last words."""
        limit = time.monotonic() + _START_SECONDS
        while not self.answers():
            if begun.child.poll() is not None:
                self.pid_file.unlink(missing_ok=True)
                raise BackendFailed(
                    f"the worker does not start: {self.last_words(begun.written)}",
                    hint=f"see {self.log} and {self.models_file}",
                )
            if time.monotonic() > limit:
                self.stop()
                raise BackendFailed(
                    f"the worker did not answer within {_START_SECONDS} s", hint=f"see {self.log}"
                )
            time.sleep(_POLL_SECONDS)

    @override
    def options(self) -> list[str]:
        return [
            "--listen", str(self.folder), "--models", str(self.models_file),
            "--password-file", str(self.password_file),
        ]  # fmt: skip

    @override
    def depends_on(self) -> bytes:
        return self.models_file.read_bytes()

    @override
    def grace_seconds(self) -> float:
        # One that does not answer a ping will hardly answer a request.
        return super().grace_seconds() if self.answers() else _HUNG_SECONDS


def _write_private(path: Path, text: str) -> None:
    """A new file that only its owner ever could read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
