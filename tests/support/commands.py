"""The installed command, as a process or in this one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rowvec.cli import main
from support.places import ROWVEC, clean_environment
from support.postgres import Database
from support.waiting import WAIT_SECONDS

Completed = subprocess.CompletedProcess[str]
Rowvec = Callable[..., Completed]
Run = Callable[..., Completed]


def run_rowvec(*arguments: object, **environment: str) -> Completed:
    """Runs the installed command; the environment has no settings but the given ones."""
    return subprocess.run(
        [ROWVEC, *map(str, arguments)], env=clean_environment(**environment),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False,
    )  # fmt: skip


@contextmanager
def _own_log() -> Iterator[None]:
    """Without pytest's handlers, beside which the command would leave the log alone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def run_in_process(*arguments: object, stdin: str = "", **environment: str) -> Completed:
    """The same in this process, where starting one is not the point; the result is alike."""
    words = [str(argument) for argument in arguments]
    clean = {name: None for name in os.environ if name not in clean_environment()}
    with _own_log():
        done = CliRunner(env={**clean, **environment}).invoke(main, words, input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Completed(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def rowvec() -> Rowvec:
    """Runs the command in this process; what must be a process imports `run_rowvec`."""
    return run_in_process


@pytest.fixture
def run(database: Database) -> Run:
    """Runs a command on the test's database; `fails` is what its error says."""

    def run(*arguments: object, stdin: str = "", fails: str = "", code: int = 1) -> Completed:
        done = run_in_process(*arguments, "--dsn", database.dsn, stdin=stdin)
        assert done.returncode == (code if fails else 0), done.stdout + done.stderr
        assert fails in " ".join(done.stderr.split())
        return done

    return run


@dataclass(frozen=True)
class Job:
    """A running command; what it prints and says goes to files."""

    process: subprocess.Popen[bytes]
    printed: Path
    said: Path

    def end(self, code: int = 0) -> tuple[dict[str, Any], str]:
        """Waits for its end: the summary that it printed as JSON, and what it said."""
        self.process.wait()
        said = self.said.read_text()
        assert self.process.returncode == code, said
        assert "Traceback" not in said
        printed = self.printed.read_text()
        return (json.loads(printed) if printed else {}), said


StartRowvec = Callable[..., Job]


@pytest.fixture
def start_rowvec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartRowvec]:
    """Starts the installed command; what still runs when the test ends is killed."""
    folder = tmp_path_factory.mktemp("jobs")
    jobs: list[Job] = []

    def start(*arguments: object, **environment: str) -> Job:
        printed, said = (folder / f"{len(jobs)}.{stream}" for stream in ("stdout", "stderr"))
        with printed.open("wb") as output, said.open("wb") as errors:
            process = subprocess.Popen(
                [ROWVEC, *map(str, arguments)], env=clean_environment(**environment),
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            )  # fmt: skip
        job = Job(process, printed, said)
        jobs.append(job)
        return job

    yield start
    for job in jobs:
        job.process.kill()
        job.process.wait()
