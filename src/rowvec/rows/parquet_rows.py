"""Rows of Parquet files, a few at a time, under the columns that all of them declare together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rowvec.errors import ModelError
from rowvec.rows.arrow_values import values
from rowvec.rows.columns import Column, Convert, named, of_feature, plain, unique
from rowvec.rows.reading import Rows

# Rows of Parquet that are in memory at once.
_ROWS_AT_ONCE = 64

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")


def parquet_columns(files: Sequence[Path]) -> list[Column]:
    """The columns of the files; a column that some lack is there, too.

    Types are those of the first file that has the column, and `jsonb` or a wider number where
    another differs. Raises OSError or ValueError where a file is none of Parquet.
    """
    _datasets()
    import pyarrow.parquet as pq  # noqa: PLC0415  # comes with datasets

    features: dict[str, list[Any]] = {}
    for file in files:
        schema = pq.read_schema(file)
        for key, feature in zip(unique(schema.names), _features(schema), strict=True):
            known = features.setdefault(key, [])
            if feature not in known:
                known.append(feature)
    return named((key, *_common(each)) for key, each in features.items())


def read_parquet(file: Path) -> Rows:
    """The rows of one file; nothing is decoded: images stay the bytes they are.

    Raises OSError or ValueError where the file is none of Parquet, or is broken from here on.
    """
    _datasets()
    import pyarrow.parquet as pq  # noqa: PLC0415

    # The library's own stream reads ahead without a bound.
    with pq.ParquetFile(file, pre_buffer=False) as opened:
        names = list(unique(opened.schema_arrow.names))
        for batch in opened.iter_batches(_ROWS_AT_ONCE):
            columns = [values(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(names, row, strict=True))


def _features(schema: Any) -> list[Any]:
    """What each column is to the datasets library; its Arrow type where that knows it not."""
    datasets = _datasets()
    import pyarrow as pa  # noqa: PLC0415

    known: list[Any] = []
    declared = _declared(schema)
    for field in schema:
        if field.name in declared and schema.names.count(field.name) == 1:
            known.append(declared[field.name])
            continue
        try:
            (feature,) = datasets.Features.from_arrow_schema(pa.schema([field])).values()
        except ValueError:  # a map, an interval
            feature = field.type
        known.append(feature)
    return known


def _declared(schema: Any) -> Mapping[str, Any]:
    """The features that the datasets library wrote into the file, such as names of classes."""
    try:
        return dict(_datasets().Features.from_arrow_schema(schema))
    except ValueError:
        return {}


def _common(features: Sequence[object]) -> tuple[str, Convert]:
    """The type that takes what each of the files declares under one name."""
    # An empty column of pandas is declared as null, which says nothing.
    telling = [f for f in features if getattr(f, "dtype", "") != "null"] or features
    kinds = dict(map(of_feature, telling))
    if len(kinds) == 1:
        ((type_, convert),) = kinds.items()
        return type_, convert
    if kinds.keys() <= set(_NUMBERS):
        return max(kinds, key=_NUMBERS.index), plain
    nested = any(type_ == "jsonb" or type_.endswith("[]") for type_ in kinds)
    return ("jsonb" if nested else "text"), plain


def _datasets() -> Any:
    try:
        import datasets  # noqa: PLC0415  # only the extra `datasets` has it
    except ImportError as exc:
        raise ModelError(
            "reading Parquet needs a package", hint="pip install 'rowvec[datasets]'"
        ) from exc
    return datasets
