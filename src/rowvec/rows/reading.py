"""Opening a file or a stream, and its lines within a bound: no line takes the machine's memory."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from rowvec.errors import BadRow

# The largest line, record or value that is read. A text that long is a mistake, or belongs in
# pieces; Postgres itself ends at 1 GB.
MAX_ROW_BYTES = 64 << 20

Row = dict[str, Any]
Rows = Iterator[Row]

# What is done about a row that cannot be read.
OnBad = Callable[[BadRow], None]


def refuse(bad: BadRow) -> None:
    """The default for what is bad: nothing is read any further."""
    raise bad


@dataclass
class Place:
    """Where a reader is: the line (or value, or row) on which the row begins that it gave last.

    `size` is that row's length, about, where the reader knows it; else 0.
    """

    name: str
    number: int = 0
    unit: str = "line"
    size: int = 0

    def __str__(self) -> str:
        return f"{self.unit} {self.number} of {self.name}"


def opened(file: Path) -> io.BufferedReader:
    """The bytes of a file, decompressed where its name ends in .gz; raises OSError."""
    is_packed = file.suffix == ".gz"
    return cast("io.BufferedReader", gzip.open(file)) if is_packed else file.open("rb")


def decompressed(raw: IO[bytes], file: Path) -> io.BufferedReader:
    """The same for a file that is open already, whose own position tells how far it was read."""
    is_packed = file.suffix == ".gz"
    return cast("io.BufferedReader", gzip.GzipFile(fileobj=raw)) if is_packed else cast("Any", raw)


def lines(
    stream: IO[bytes], place: Place, on_bad: OnBad = refuse, *, first: int = 1
) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers, from `first` on; too long a one is bad, and passed over."""
    read = stream.readline
    number = first - 1
    while line := read(MAX_ROW_BYTES + 1):
        number += 1
        if len(line) > MAX_ROW_BYTES:
            while line and not line.endswith(b"\n"):
                line = read(MAX_ROW_BYTES)
            on_bad(too_long(f"line {number} of {place.name}"))
            continue
        yield number, line


def too_long(what: str) -> BadRow:
    """The error for what exceeds MAX_ROW_BYTES."""
    return BadRow(
        f"{what} is longer than {MAX_ROW_BYTES >> 20} MB",
        hint="cut the text into pieces, or load it from a file of its own with --files",
    )
