"""The memory of a load does not grow with what a Parquet file holds."""

from __future__ import annotations

import sys
from pathlib import Path

import datasets
import pytest

from support.memory import ALLOWED_MB, LARGE, MEASURED, READ, SMALL, peak_mb, rows
from support.postgres import Database

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def write(folder: Path, count: int) -> Path:
    file = folder / f"parquet-{count}" / "a.parquet"
    file.parent.mkdir()
    datasets.Dataset.from_list(list(rows(count))).to_parquet(file)
    return file


def test_load(empty_database: Database, tmp_path: Path) -> None:
    small, large = (
        peak_mb(MEASURED, "load", f"t{count}", write(tmp_path, count), "--dsn", empty_database.dsn)
        for count in (SMALL, LARGE)
    )
    assert large - small < ALLOWED_MB


def test_dataset(tmp_path: Path) -> None:
    small, large = (peak_mb(READ, write(tmp_path, count).parent) for count in (SMALL, LARGE))
    assert large - small < ALLOWED_MB
