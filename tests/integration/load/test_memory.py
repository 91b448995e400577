"""The memory of a load does not grow with what is loaded: measured in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rowvec.rows.reading import MAX_ROW_BYTES
from support.memory import ALLOWED_MB, LARGE, MEASURED, PEAK, READ, SMALL, peak_mb, rows
from support.places import clean_environment
from support.postgres import Database

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def write(folder: Path, form: str, count: int) -> Path:
    folder = folder / f"{form}-{count}"
    folder.mkdir()
    file = folder / {"lines": "a.ndjson", "array": "a.json", "csv": "a.csv"}[form]
    with file.open("w") as out:
        if form == "array":
            out.write("[")
            for n, each in enumerate(rows(count)):
                out.write(("," if n else "") + json.dumps(each))
            out.write("]")
        elif form == "lines":
            out.writelines(json.dumps(each) + "\n" for each in rows(count))
        else:
            out.write("n,t,f\n")
            out.writelines(f"{each['n']},{each['t']},{each['f']}\n" for each in rows(count))
    return file


@pytest.mark.parametrize("form", ["lines", "array", "csv"])
def test_load(empty_database: Database, tmp_path: Path, form: str) -> None:
    small, large = (
        peak_mb(MEASURED, "load", f"t{count}", write(tmp_path, form, count),
                "--dsn", empty_database.dsn)
        for count in (SMALL, LARGE)
    )  # fmt: skip
    assert large - small < ALLOWED_MB


def test_dataset(tmp_path: Path) -> None:
    small, large = (
        peak_mb(READ, write(tmp_path, "array", count).parent) for count in (SMALL, LARGE)
    )
    assert large - small < ALLOWED_MB


# One field without an end, written for as long as somebody reads.
ENDLESS = """
import os, sys
piece = b"x" * (1 << 20)
os.write(1, sys.argv[1].encode())
try:
    while True:
        os.write(1, piece)
except BrokenPipeError:
    pass
"""


@pytest.mark.parametrize(
    ("form", "beginning", "where"),
    [
        ("csv", 'a,b\n1,"', "line 2 of standard input"),
        ("ndjson", '{"a": 1}\n{"a": "', "line 2 of standard input"),
        ("json", '[{"a": "', "the value on line 1 of standard input"),
    ],
)
def test_a_field_without_an_end(
    empty_database: Database, form: str, beginning: str, where: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, beginning], stdout=subprocess.PIPE
    ) as writing:
        done = subprocess.run(
            [sys.executable, "-c", PEAK + MEASURED, "load", "t", "-", "--format", form,
             "--dsn", empty_database.dsn],
            env=clean_environment(), stdin=writing.stdout, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert writing.stdout is not None
        writing.stdout.close()
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert f"error: {where} is longer than {MAX_ROW_BYTES >> 20} MB" in said
    assert int(done.stdout.split()[-1]) < 12 * (MAX_ROW_BYTES >> 20)
