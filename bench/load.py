"""`rowvec load` of newline-delimited JSON beside plain COPY of the same rows into the same table.

The rows are functions of Python's standard library over and over, 340 bytes of JSON on average.
COPY is psycopg's, of a file in COPY's own text format, written by Postgres itself beforehand.
Rounds alternate; medians. Memory is the peak of the process that loads, beyond what the command
has once it is imported. `bench/load.py 1000` loads 1 GB (the default is 100 MB); it needs four
times as much on the disk.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from stage import ROWVEC, instance, report, seconds

from rowvec.load.python_api import python_api, standard_library

ROUNDS = 3
COLUMNS = "number, name, signature, doc, score, public"

# What runs `rowvec load` and tells the memory it took: at its start with all imported, and at most.
MEASURED = """
import resource, sys
from rowvec.cli import load, main
from rowvec.load import choose, tables
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    main(sys.argv[1:], prog_name="rowvec")
finally:
    print(before, peak())
"""


def main() -> None:
    """Prints one line: MB/s of both, their ratio, and the memory of the load."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with (
        tempfile.TemporaryDirectory(prefix="rowvec-bench-", dir="/var/tmp") as folder,
        instance() as dsn,
    ):
        source, copied = Path(folder) / "rows.ndjson", Path(folder) / "rows.copy"
        rows = write_rows(source, megabytes * 1_000_000)
        loads, copies, peaks = [], [], []
        with psycopg.connect(dsn, autocommit=True) as connection:
            for number in range(ROUNDS):
                connection.execute("DROP TABLE IF EXISTS loaded")
                loads.append(seconds(lambda: peaks.append(load(dsn, source))))
                if number == 0:
                    write_copy(connection, copied)
                    connection.execute("CREATE TABLE plain (LIKE loaded INCLUDING ALL)")
                else:
                    connection.execute("TRUNCATE plain")
                copies.append(seconds(lambda: plain_copy(connection, copied)))
            counted = connection.execute("SELECT count(*) FROM loaded").fetchone()
        assert counted == (rows,), counted
    size = megabytes
    report(
        "load",
        ratio=round(statistics.median(copies) / statistics.median(loads), 3),
        load_mb_per_second=round(size / statistics.median(loads), 1),
        copy_mb_per_second=round(size / statistics.median(copies), 1),
        rounds=[round(copy / took, 3) for copy, took in zip(copies, loads, strict=True)],
        memory_mb=round(max(peaks), 1),
        rows=rows,
        megabytes=megabytes,
    )


def write_rows(file: Path, size: int) -> int:
    """At least so many bytes of rows; tells how many rows."""
    entries = list(python_api(standard_library()))
    number = 0
    with file.open("w") as out:
        while out.tell() < size:
            for entry in entries:
                number += 1
                row = {
                    "number": number, "name": entry.name, "signature": entry.signature,
                    "doc": entry.doc, "score": number / 7, "public": number % 3 > 0,
                }  # fmt: skip
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return number


def load(dsn: str, source: Path) -> float:
    """Runs the command; MB of memory beyond its imports."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    done = subprocess.run(
        [ROWVEC.with_name("python"), "-c", MEASURED, "load", "loaded", source, "--dsn", dsn],
        env=clean, capture_output=True, text=True, check=True,
    )  # fmt: skip
    before, peak = map(int, done.stdout.split()[-2:])
    return (peak - before) / 1024


def write_copy(connection: psycopg.Connection, file: Path) -> None:
    """The loaded rows in COPY's format."""
    statement = f"COPY (SELECT {COLUMNS} FROM loaded) TO STDOUT"
    with file.open("wb") as out, connection.cursor().copy(statement.encode()) as copy:
        for piece in copy:
            out.write(piece)


def plain_copy(connection: psycopg.Connection, file: Path) -> None:
    """COPY of the file, in pieces of 1 MB."""
    statement = f"COPY plain ({COLUMNS}) FROM STDIN"
    with file.open("rb") as source, connection.cursor().copy(statement.encode()) as copy:
        while piece := source.read(1 << 20):
            copy.write(piece)


if __name__ == "__main__":
    main()
