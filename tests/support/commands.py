"""The installed command, as a process or in this one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from rowvec.cli import main
from support.places import ROWVEC, clean_environment
from support.waiting import WAIT_SECONDS

Completed = subprocess.CompletedProcess[str]
Rowvec = Callable[..., Completed]


def run_rowvec(*arguments: object, **environment: str) -> Completed:
    """Runs the installed command; the environment has no settings but the given ones."""
    return subprocess.run(
        [ROWVEC, *map(str, arguments)], env=clean_environment(**environment),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False,
    )  # fmt: skip


def run_in_process(*arguments: object, stdin: str = "", **environment: str) -> Completed:
    """The same in this process, where starting one is not the point; the result is alike."""
    words = [str(argument) for argument in arguments]
    clean = {name: None for name in os.environ if name not in clean_environment()}
    done = CliRunner(env={**clean, **environment}).invoke(main, words, input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Completed(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def rowvec() -> Rowvec:
    """Runs the command in this process; what must be a process imports `run_rowvec`."""
    return run_in_process
