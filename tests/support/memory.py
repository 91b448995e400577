"""What a load takes: measured in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from support.places import clean_environment

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
from rowvec.datasets.files import find_files
from rowvec.datasets.listing import DatasetSpec
from rowvec.datasets.rows import open_dataset
from rowvec.rows.columns import row
found = find_files(DatasetSpec("x", path=Path(sys.argv[1])), None, None)
columns, values = open_dataset(found, offset=0, limit=None)
print(sum(1 for number, each in enumerate(values) if row(columns, each, number)))
print(peak_mb())
"""


def peak_mb(script: str, *arguments: object, fails: bool = False) -> int:
    """What a process of such a script took at most."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK + script, *map(str, arguments)],
        env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stderr
    return int(done.stdout.split()[-1])


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows of a kilobyte."""
    return ({"n": n, "t": "x" * 1000, "f": n / 7, "tags": ["a", str(n)]} for n in range(count))
