"""Opening a file or a stream, and its lines within a bound: no line takes the machine's memory."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from rowvec.errors import BadRow

# The largest line, record or value that is read. A text that long is a mistake, or belongs in
# pieces; Postgres itself ends at 1 GB.
MAX_ROW_BYTES = 64 << 20

Row = dict[str, Any]
Rows = Iterator[Row]

# Rows that were read together: their numbers, themselves, and how many bytes they were.
Batch = tuple[Sequence[int], list[Row], int]

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
    """The same for an open file; its own position tells how far it was read."""
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
            on_bad(too_long(f"line {number} of {place.name}"))
            _pass_over(stream, line)
            continue
        yield number, line


def line_blocks(
    stream: io.BufferedReader, place: Place, on_bad: OnBad = refuse, *, first: int = 1
) -> Iterator[tuple[int, bytes]]:
    """The same, but as many lines together as the stream's buffer holds; the first's number."""
    number = first
    while line := stream.readline(MAX_ROW_BYTES + 1):
        if len(line) > MAX_ROW_BYTES:
            on_bad(too_long(f"line {number} of {place.name}"))
            _pass_over(stream, line)
            number += 1
            continue
        more = stream.read(stream.peek(1).rfind(b"\n") + 1)
        yield number, line + more if more else line
        number += 1 + more.count(b"\n")


def _pass_over(stream: IO[bytes], line: bytes) -> None:
    """Reads to the end of the line that began so."""
    while line and not line.endswith(b"\n"):
        line = stream.readline(MAX_ROW_BYTES)


def too_long(what: str) -> BadRow:
    """The error for what exceeds MAX_ROW_BYTES."""
    return BadRow(
        f"{what} is longer than {MAX_ROW_BYTES >> 20} MB",
        hint="cut the text into pieces",
    )
