"""Input without an end, as a file that is larger than the memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rowvec.rows.reading import MAX_ROW_BYTES
from support.memory import MEASURED, peak_mb
from support.postgres import Database

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.mark.parametrize("beginning", ['a,b\n1,"', '{"a": "', '[{"a": "'])
def test_a_field_of_two_gigabytes(empty_database: Database, tmp_path: Path, beginning: str) -> None:
    """An error before the memory is gone; the file has a hole, so it takes no room."""
    file = tmp_path / ("a.csv" if beginning.startswith("a") else "a.json")
    file.write_text(beginning)
    with file.open("r+b") as opened:
        opened.truncate(2 << 30)
    peak = peak_mb(MEASURED, "load", "t", file, "--dsn", empty_database.dsn, fails=True)
    assert peak < 12 * (MAX_ROW_BYTES >> 20)
