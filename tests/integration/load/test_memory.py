"""The memory of a load does not grow with what is loaded: measured in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowvec.rows.reading import MAX_ROW_BYTES
from support.postgres import Database

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

SMALL, LARGE = 2_000, 60_000  # rows of a kilobyte

# What the larger may take beyond the smaller: buffers grow a little, the 58 MB of rows must not.
ALLOWED_MB = 25

# Of the program alone: what getrusage tells begins with the peak of who started it.
PEAK = """
import re, sys
from pathlib import Path
def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
"""

MEASURED = """
from rowvec.cli import main
try:
    main(sys.argv[1:], prog_name="rowvec")
finally:
    print(peak_mb())
"""

READ = """
from rowvec.models.dataset_files import find_files
from rowvec.models.dataset_listing import DatasetSpec
from rowvec.models.dataset_rows import open_dataset
from rowvec.rows.columns import row
found = find_files(DatasetSpec("x", path=Path(sys.argv[1])), None, None)
columns, values = open_dataset(found, offset=0, limit=None)
print(sum(1 for number, each in enumerate(values) if row(columns, each, number)))
print(peak_mb())
"""


def peak_mb(script: str, *arguments: object, fails: bool = False) -> int:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    done = subprocess.run(
        [sys.executable, "-c", PEAK + script, *map(str, arguments)],
        env=clean, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stderr
    return int(done.stdout.split()[-1])


def objects(count: int) -> Iterator[dict[str, Any]]:
    return ({"n": n, "t": "x" * 1000, "f": n / 7, "tags": ["a", str(n)]} for n in range(count))


def write(folder: Path, form: str, count: int) -> Path:
    folder = folder / f"{form}-{count}"
    folder.mkdir()
    if form == "parquet":
        import datasets  # noqa: PLC0415

        datasets.Dataset.from_list(list(objects(count))).to_parquet(folder / "a.parquet")
        return folder / "a.parquet"
    file = folder / {"lines": "a.ndjson", "array": "a.json", "csv": "a.csv"}[form]
    with file.open("w") as out:
        if form == "array":
            out.write("[")
            for n, each in enumerate(objects(count)):
                out.write(("," if n else "") + json.dumps(each))
            out.write("]")
        elif form == "lines":
            out.writelines(json.dumps(each) + "\n" for each in objects(count))
        else:
            out.write("n,t,f\n")
            out.writelines(f"{each['n']},{each['t']},{each['f']}\n" for each in objects(count))
    return file


@pytest.mark.parametrize("form", ["lines", "array", "csv", "parquet"])
def test_load(empty_database: Database, tmp_path: Path, form: str) -> None:
    small, large = (
        peak_mb(MEASURED, "load", f"t{count}", write(tmp_path, form, count),
                "--dsn", empty_database.dsn)
        for count in (SMALL, LARGE)
    )  # fmt: skip
    assert large - small < ALLOWED_MB


@pytest.mark.parametrize("form", ["array", "parquet"])
def test_dataset(tmp_path: Path, form: str) -> None:
    small, large = (peak_mb(READ, write(tmp_path, form, count).parent) for count in (SMALL, LARGE))
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
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, beginning], stdout=subprocess.PIPE
    ) as writing:
        done = subprocess.run(
            [sys.executable, "-c", PEAK + MEASURED, "load", "t", "-", "--format", form,
             "--dsn", empty_database.dsn],
            env=clean, stdin=writing.stdout, capture_output=True, text=True, timeout=500,
            check=False,
        )  # fmt: skip
        assert writing.stdout is not None
        writing.stdout.close()
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert f"error: {where} is longer than {MAX_ROW_BYTES >> 20} MB" in said
    assert int(done.stdout.split()[-1]) < 12 * (MAX_ROW_BYTES >> 20)


@pytest.mark.slow
@pytest.mark.parametrize("beginning", ['a,b\n1,"', '{"a": "', '[{"a": "'])
def test_a_field_of_two_gigabytes(empty_database: Database, tmp_path: Path, beginning: str) -> None:
    """An error before the memory is gone; the file has a hole, so it takes no room."""
    file = tmp_path / ("a.csv" if beginning.startswith("a") else "a.json")
    file.write_text(beginning)
    with file.open("r+b") as opened:
        opened.truncate(2 << 30)
    peak = peak_mb(MEASURED, "load", "t", file, "--dsn", empty_database.dsn, fails=True)
    assert peak < 12 * (MAX_ROW_BYTES >> 20)
