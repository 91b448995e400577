"""What the faults happen to: a table that counts its writes, and jobs as processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from support.commands import StartRowvec
from support.endpoints import Gate
from support.postgres import Database
from support.workers import StartWorker, Worker

MODELS = """
[[model]]
name = "stand-in-small"
kind = "stand-in"
dimensions = 8

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
refuse = "refuse me"
"""

Backfill = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def worker(start_module_worker: StartWorker, module_gate: Gate) -> Worker:
    """Its model `gated` is the gate; no cache hides double work."""
    return start_module_worker(MODELS + module_gate.listed("gated"), "--cache-bytes", "0")


@pytest.fixture
def start(start_rowvec: StartRowvec, database: Database) -> StartRowvec:
    """Starts a command on the test's database."""
    return partial(start_rowvec, ROWVEC_DSN=database.dsn)


@pytest.fixture
def backfill(start: StartRowvec) -> Backfill:
    """Runs `rowvec backfill` to its end and gives the summary."""

    def run(*arguments: str, source: str = "reviews", **environment: str) -> dict[str, Any]:
        return start("backfill", source, "--json", *arguments, **environment).end()[0]

    return run
