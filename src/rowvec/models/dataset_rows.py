"""A dataset's columns, and its rows one after the other, in memory that does not grow with it."""

from __future__ import annotations

import csv
import gzip
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from rowvec.errors import ModelError, RowvecError
from rowvec.models.dataset_columns import Column, named, of_feature, plain
from rowvec.models.dataset_files import DatasetFiles
from rowvec.models.dataset_kinds import of_json, of_text, settled, united

# Rows of Parquet that are in memory at once.
_ROWS_AT_ONCE = 64

Rows = Iterator[dict[str, Any]]


def open_dataset(
    found: DatasetFiles, *, offset: int, limit: int | None
) -> tuple[list[Column], Rows]:
    """The columns, and the rows from `offset` (from 0) to `limit`; raises RowvecError."""
    if found.format == "parquet":
        columns, rows = _parquet(found.files, offset)
        return columns, itertools.islice(rows, None if limit is None else max(0, limit - offset))
    kinds: dict[str, str | None] = {}
    kind_of = of_text if found.format == "csv" else of_json
    for values in itertools.islice(_read(found), limit):
        for key, value in values.items():
            kinds[key] = united(kinds.get(key), None if value is None else kind_of(value))
    columns = named((key, settled(kind), plain) for key, kind in kinds.items())
    return columns, itertools.islice(_read(found), offset, limit)


def _parquet(files: tuple[Path, ...], offset: int) -> tuple[list[Column], Rows]:
    try:
        import datasets  # noqa: PLC0415  # only the extra `datasets` has it
    except ImportError as exc:
        raise ModelError(
            "reading Parquet needs a package", hint="pip install 'rowvec[datasets]'"
        ) from exc
    import pyarrow.parquet as pq  # noqa: PLC0415  # comes with datasets

    features = datasets.Features.from_arrow_schema(pq.read_schema(files[0]))
    columns = named((key, *of_feature(feature)) for key, feature in features.items())

    def rows() -> Rows:
        # The library's own stream reads ahead without a bound. Nothing is decoded here: images
        # stay the bytes they are.
        for file in files:
            with pq.ParquetFile(file, pre_buffer=False) as opened:
                for batch in opened.iter_batches(_ROWS_AT_ONCE):
                    yield from batch.to_pylist()

    return columns, itertools.islice(rows(), offset, None)


def _read(found: DatasetFiles) -> Rows:
    one_file = _csv if found.format == "csv" else _json
    for file in found.files:
        try:
            yield from one_file(file)
        except RowvecError:
            raise
        except (OSError, ValueError, csv.Error, EOFError) as exc:
            # Their words may quote the file.
            raise ModelError(f"cannot read {file}: {type(exc).__name__}") from exc


def _csv(file: Path) -> Rows:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    separator = "\t" if ".tsv" in file.suffixes else ","
    with _opened(file) as opened:
        text = (line.decode("utf-8-sig" if n == 0 else "utf-8") for n, line in enumerate(opened))
        reader = csv.reader(text, delimiter=separator, strict=True)
        names = next(reader, [])
        for number, cells in enumerate(reader, start=2):
            if not cells:
                continue
            if len(cells) > len(names):
                raise ModelError(
                    f"row {number} of {file} has {len(cells)} cells, its header {len(names)}"
                )
            # An empty cell is NULL.
            yield {
                name: cell or None
                for name, cell in itertools.zip_longest(names, cells, fillvalue=None)
                if name is not None
            }


def _json(file: Path) -> Rows:
    with _opened(file) as opened:
        start = opened.read(1024).lstrip()
        opened.seek(0)
        # An array is read whole; lines are not.
        values = orjson.loads(opened.read()) if start.startswith(b"[") else _lines(opened)
        for number, value in enumerate(values, start=1):
            if not isinstance(value, dict):
                raise ModelError(f"value {number} of {file} is no JSON object")
            yield value


def _lines(opened: IO[bytes]) -> Iterator[Any]:
    return (orjson.loads(line) for line in opened if line.strip())


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]
