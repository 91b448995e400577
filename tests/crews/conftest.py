"""Several backfills of one table at once, each with a worker of its own that asks one model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from support.commands import Job, StartRowvec
from support.endpoints import Gate
from support.postgres import Database

# By the same name as a model of the worker that all tests share, and with the same vectors.
MODEL = "slow"

PrivateWorkers = Callable[[], list[psutil.Process]]


@pytest.fixture
def listed(gate: Gate, tmp_path: Path) -> Path:
    """The list of models of the workers that the jobs start: the gate."""
    path = tmp_path / "models.toml"
    path.write_text(gate.listed(MODEL))
    return path


@pytest.fixture
def start(start_rowvec: StartRowvec, database: Database, listed: Path) -> StartRowvec:
    """Starts `rowvec backfill reviews`."""

    def run(*arguments: str, **environment: str) -> Job:
        return start_rowvec(
            "backfill", "reviews", "--json", "--dsn", database.dsn, "--models", listed, *arguments,
            **environment,
        )  # fmt: skip

    return run


@pytest.fixture
def private_workers(listed: Path) -> PrivateWorkers:
    """Workers that the jobs of a test started, and that live."""

    def find() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if (process.info["cmdline"] or [])[-2:] == ["rowvec", "worker"]:
                with contextlib.suppress(psutil.Error):
                    if process.environ().get("ROWVEC_MODELS") == str(listed):
                        found.append(process)
        return found

    return find
