"""Whatever befalls a table, its jobs and its servers: when quiet, every vector is of its text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.state_machine import Stage, run, staged
from support.workers import StartWorker

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stage(folder: Path, start_module_worker: StartWorker) -> Iterator[Stage]:
    with staged(folder, start_module_worker) as stage:
        yield stage


@pytest.mark.parametrize("destination", ["column", "table"])
def test_when_quiet_every_vector_is_that_of_its_text(stage: Stage, destination: str) -> None:
    run(stage, destination, examples=5, steps=20, disasters=2)
