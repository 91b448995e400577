"""A dataset's columns, and its rows one after the other, in memory that does not grow with it."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

from rowvec.datasets.files import DatasetFiles
from rowvec.errors import ModelError, RowvecError
from rowvec.rows.columns import Column, named, plain
from rowvec.rows.csv_rows import read_csv
from rowvec.rows.json_rows import read_json
from rowvec.rows.kinds import of_json, of_text, settled, united
from rowvec.rows.parquet_rows import parquet_columns, read_parquet
from rowvec.rows.reading import OnBad, Place, Rows, opened, refuse


def open_dataset(
    found: DatasetFiles, *, offset: int, limit: int | None
) -> tuple[list[Column], Rows]:
    """The columns, and the rows from `offset` (from 0) to `limit`; raises RowvecError.

    Where files declare no types, all values up to the limit are read for them, and then once more.
    """
    if found.format == "parquet":
        columns = parquet_columns(found.files)
    else:
        kinds: dict[str, str | None] = {}
        kind_of = of_text if found.format == "csv" else of_json
        for values in itertools.islice(rows_of(found), limit):
            for key, value in values.items():
                kinds[key] = united(kinds.get(key), None if value is None else kind_of(value))
        columns = named((key, settled(kind), plain) for key, kind in kinds.items())
    return columns, itertools.islice(rows_of(found), offset, limit)


def rows_of(found: DatasetFiles, on_bad: OnBad = refuse, place: Place | None = None) -> Rows:
    """The rows of all files, one file after the other."""
    place = place or Place("")
    for file in found.files:
        place.name = str(file)
        try:
            yield from _rows_of_file(found, file, place, on_bad)
        except RowvecError:
            raise
        except (OSError, ValueError, csv.Error, EOFError) as exc:
            # Their words may quote the file.
            raise ModelError(f"cannot read {file}: {type(exc).__name__}") from exc


def _rows_of_file(found: DatasetFiles, file: Path, place: Place, on_bad: OnBad) -> Rows:
    if found.format == "parquet":
        yield from read_parquet(file)
        return
    with opened(file) as stream:
        if found.format == "json":
            yield from read_json(stream, place, on_bad=on_bad)
        else:
            separator = "\t" if ".tsv" in file.suffixes else ","
            # As the datasets library does, which PostgresML used.
            yield from read_csv(stream, place, separator=separator, pad=True, on_bad=on_bad)
