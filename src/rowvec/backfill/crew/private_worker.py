"""A worker of one job alone: a copy of the model beside the job, for machines that have no worker.

It is the ordinary worker on a socket in a folder of its own, so batches, limits and restarts of the
engine are those of every worker, and so are the vectors.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from psycopg.conninfo import make_conninfo

from rowvec.client import WorkerClient
from rowvec.config import Settings, child_environment
from rowvec.errors import BackendFailed, WorkerUnreachable

# A machine that is busy loads a model slowly.
_START_SECONDS = 300
_POLL_SECONDS = 0.05
_SHOWN_CHARACTERS = 600

# The input of this is a pipe that only the job holds: where the job is killed, its worker ends too.
# Beside the worker and not above it: Ray kills the children of an actor, but not theirs.
_WHEN_PARENT_ENDS = 'cat; kill "$0"'


@asynccontextmanager
async def private_worker(settings: Settings) -> AsyncIterator[str]:
    """Starts a worker and gives its conninfo; it ends with the block, or with this process.

    Raises BackendFailed with the end of its log where it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="rowvec-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        password, log = secrets.token_hex(), folder / "worker.log"
        (folder / "password").write_text(password)
        environment = child_environment(
            settings.model_copy(
                update={
                    "listen": name,
                    "password_file": folder / "password",
                    "http_listen": None,
                    "tls_cert_file": None,
                    "tls_key_file": None,
                    "tls_required": False,
                }
            )
        )
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rowvec", "worker", env=environment,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                # A terminal's Ctrl-C ends the job after its batch in hand, which needs the worker.
                start_new_session=True,
            )  # fmt: skip
        watch = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _WHEN_PARENT_ENDS, str(process.pid), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            conninfo = make_conninfo(
                host=name, port=5466, user="rowvec", dbname="rowvec", password=password
            )
            await _until_it_answers(conninfo, process, log)
            yield conninfo
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
            watch.kill()
            await watch.wait()


async def _until_it_answers(conninfo: str, process: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                try:
                    client = await WorkerClient.connect(conninfo)
                except WorkerUnreachable as exc:
                    if process.returncode is not None:
                        raise BackendFailed(f"no worker for this job: {_last_words(log)}") from exc
                    await asyncio.sleep(_POLL_SECONDS)
                else:
                    await client.close()
                    return
    except TimeoutError as exc:
        raise BackendFailed(f"no worker for this job within {_START_SECONDS} s") from exc


def _last_words(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-_SHOWN_CHARACTERS:]
