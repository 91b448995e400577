"""The state machine of the faults for half an hour, each time with other draws.

ROWVEC_TEST_MINUTES says for how long, of both destinations together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.state_machine import Stage, run, staged
from support.workers import StartWorker

MINUTES = float(os.environ.get("ROWVEC_TEST_MINUTES", "30"))

pytestmark = pytest.mark.timeout(3600 + 120 * MINUTES)


@pytest.fixture(scope="module")
def stage(folder: Path, start_module_worker: StartWorker) -> Iterator[Stage]:
    with staged(folder, start_module_worker) as stage:
        yield stage


@pytest.mark.parametrize("destination", ["column", "table"])
def test_when_quiet_for_long(stage: Stage, destination: str) -> None:
    end = time.monotonic() + 30 * MINUTES
    while time.monotonic() < end:
        run(stage, destination, examples=10, steps=40, disasters=5)
