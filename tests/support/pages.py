"""`rowvec ui` as a process, and the role that it logs in as."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from psycopg import sql

from rowvec.db.viewer import make_viewer
from support.places import ROWVEC, clean_environment
from support.postgres import Database
from support.waiting import WAIT_SECONDS

_TOKEN = re.compile(r'name="token" value="([^"]+)"')


@contextmanager
def viewer_of(database: Database, *sources: str) -> Iterator[str]:
    """The name of a role that may read these tables, or all that have an embedding."""
    name = f"viewer_{database.name}"
    with database.connect() as connection:
        make_viewer(connection, name, sources)
    yield name
    with database.connect() as connection:
        connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


@contextmanager
def serving(dsn: str, *arguments: str) -> Iterator[str]:
    """The URL of a `rowvec ui` on a free port."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [ROWVEC, "ui", "--listen", "127.0.0.1:0", "--dsn", dsn, *arguments],
            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            text=True,
        )  # fmt: skip
        assert process.stdout is not None
        with process.stdout:
            line = process.stdout.readline()
            if not line.startswith("http://"):
                process.wait(timeout=WAIT_SECONDS)
                log.seek(0)
                raise AssertionError(log.read())
            yield line.split()[0]
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=WAIT_SECONDS)


def token_of(url: str) -> str:
    """What a form of the page holds, as a visitor's browser sends it."""
    found = _TOKEN.search(httpx.get(f"{url}embedding/1").text)
    assert found is not None
    return found[1]
