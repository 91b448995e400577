"""The state machine of the faults for an hour or so, each time with other draws."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.state_machine import Stage, run, staged
from support.workers import StartWorker

pytestmark = pytest.mark.timeout(4 * 3600)


@pytest.fixture(scope="module")
def stage(folder: Path, start_module_worker: StartWorker) -> Iterator[Stage]:
    with staged(folder, start_module_worker) as stage:
        yield stage


@pytest.mark.parametrize("destination", ["column", "table"])
def test_when_quiet_for_long(stage: Stage, destination: str) -> None:
    run(stage, destination, examples=60, steps=40, disasters=5)
