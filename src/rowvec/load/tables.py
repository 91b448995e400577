"""Files that hold many rows: CSV, TSV, JSON, newline-delimited JSON, Parquet; standard input."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast, get_args

from typing_extensions import override

from rowvec.errors import BadRow, ConfigError
from rowvec.load.formats import Format, format_of
from rowvec.load.row_source import RowSource
from rowvec.rows.columns import Column
from rowvec.rows.csv_rows import read_csv
from rowvec.rows.json_rows import json_batches, ndjson_batches, read_json, read_ndjson
from rowvec.rows.parquet_rows import parquet_columns, read_parquet
from rowvec.rows.reading import Batch, OnBad, Place, Rows, decompressed

_JSON = ("json", "ndjson")


@dataclass(frozen=True)
class Reading:
    """How a text file is read; `format` where its name does not tell."""

    format: Format | None = None
    encoding: str = "utf-8"
    separator: str | None = None


_BUFFER_BYTES = 1 << 17


class TableFiles:
    """The rows of files of one format, one file after the other."""

    def __init__(self, files: Sequence[Path], reading: Reading) -> None:
        self._files = files
        self._reading = reading
        self._place = Place("")
        self._done = 0
        self._raw: IO[bytes] | None = None
        for file in files:
            if not file.is_file():
                raise ConfigError(f"there is no file {file}")
        formats = {reading.format or format_of(file) for file in files}
        if None in formats:
            raise ConfigError(
                "the file's name does not tell its format",
                hint=f"say it with --format {'|'.join(get_args(Format))}",
            )
        if len(formats) > 1:
            raise ConfigError("the files have different formats", hint="load one after the other")
        (self._format,) = formats

    def source(self) -> RowSource:
        """What the loader reads."""
        is_parquet = self._format == "parquet"
        return RowSource(
            name=", ".join(str(file) for file in self._files),
            rows=self._rows,
            place=self._place,
            batches=self._batches if self._format in _JSON else None,
            columns=self._parquet_columns() if is_parquet else None,
            cells=self._format in ("csv", "tsv"),
            size=sum(file.stat().st_size for file in self._files),
            position=self._position,
        )

    def _parquet_columns(self) -> list[Column]:
        with _parquet(", ".join(map(str, self._files))):
            return parquet_columns(self._files)

    def _rows(self, on_bad: OnBad) -> Rows:
        for file in self._files:
            self._place.name = str(file)
            if self._format == "parquet":
                with _parquet(str(file)):
                    yield from _counted(read_parquet(file), self._place)
                self._done += file.stat().st_size
                continue
            with self._opened(file) as raw:
                yield from read(
                    decompressed(raw, file),
                    self._place, self._format or "json", self._reading, on_bad,
                )  # fmt: skip

    def _batches(self, on_bad: OnBad) -> Iterator[Batch]:
        for file in self._files:
            self._place.name = str(file)
            with self._opened(file, _BUFFER_BYTES) as raw:
                yield from json_of(decompressed(raw, file), self._place, self._format, on_bad)

    @contextmanager
    def _opened(
        self, file: Path, buffer_bytes: int = io.DEFAULT_BUFFER_SIZE
    ) -> Iterator[io.BufferedReader]:
        """Opens the file; until the block ends, its position is part of the progress."""
        raw: io.BufferedReader = io.BufferedReader(file.open("rb", buffering=0), buffer_bytes)
        with raw:
            self._raw = raw
            try:
                yield raw
            finally:
                self._done += raw.tell()
                self._raw = None

    def _position(self) -> int:
        return self._done + (0 if self._raw is None else self._raw.tell())


@contextmanager
def _parquet(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as exc:
        raise BadRow(f"cannot read {name}: no file of Parquet, or cut off or broken") from exc


def json_of(
    stream: io.BufferedReader, place: Place, format_: Format | None, on_bad: OnBad
) -> Iterator[Batch]:
    """The rows of one stream of JSON, many at once; raises BadRow where it cannot be read."""
    batches = ndjson_batches if format_ == "ndjson" else json_batches
    try:
        yield from batches(stream, place, on_bad=on_bad)
    except (EOFError, OSError) as exc:
        raise BadRow(f"cannot read {place.name}: {exc}") from exc


def read(
    stream: io.BufferedReader, place: Place, format_: Format, reading: Reading, on_bad: OnBad
) -> Rows:
    """The rows of one stream of text; raises BadRow where it cannot be read at all."""
    try:
        if format_ == "json":
            yield from read_json(stream, place, on_bad=on_bad)
        elif format_ == "ndjson":
            yield from read_ndjson(stream, place, on_bad=on_bad)
        else:
            yield from read_csv(
                stream,
                place,
                separator=reading.separator or ("\t" if format_ == "tsv" else ","),
                encoding=reading.encoding,
                on_bad=on_bad,
            )
    except (EOFError, OSError) as exc:
        raise BadRow(f"cannot read {place.name}: {exc}") from exc


def standard_input(stream: IO[bytes], reading: Reading) -> RowSource:
    """The rows of standard input: newline-delimited JSON unless a format is named."""
    if reading.format == "parquet":
        raise ConfigError("Parquet cannot be read from standard input", hint="give the file")
    format_ = reading.format or "json"
    place = Place("standard input")
    counted = _Counted(stream)
    return RowSource(
        name=place.name,
        rows=lambda on_bad: read(counted.buffered, place, format_, reading, on_bad),
        place=place,
        batches=None
        if format_ not in _JSON
        else (lambda on_bad: json_of(counted.buffered, place, format_, on_bad)),
        cells=format_ in ("csv", "tsv"),
        position=lambda: counted.taken,
    )


class _Counted(io.RawIOBase):
    """A stream that counts what was read, around one that cannot tell."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.taken = 0
        self.buffered: io.BufferedReader = io.BufferedReader(cast("Any", self), _BUFFER_BYTES)

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self.taken += len(piece)
        return len(piece)


def _counted(rows: Rows, place: Place) -> Rows:
    place.unit = "row"
    for place.number, row in enumerate(rows, start=1):  # read by what reports a row
        yield row
