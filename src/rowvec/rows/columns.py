"""Columns of Postgres for what a source holds, and its values as JSON that they read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from rowvec.errors import InvalidText, RequestTooLarge
from rowvec.rows.exact_json import dumps, loads

Convert = Callable[[Any], Any]

# What one row may have as JSON; Postgres takes it as one value.
MAX_ROW_BYTES = 128_000_000

_TYPES = {
    "null": "text", "bool": "boolean",
    "int8": "smallint", "int16": "smallint", "int32": "integer", "int64": "bigint",
    "uint8": "smallint", "uint16": "integer", "uint32": "bigint", "uint64": "numeric",
    "float16": "real", "halffloat": "real", "float32": "real", "float": "real",
    "float64": "double precision", "double": "double precision",
    "string": "text", "large_string": "text", "string_view": "text",
    "binary": "bytea", "large_binary": "bytea", "binary_view": "bytea",
    "date32": "date", "date64": "date",
}  # fmt: skip
_PREFIXES = {
    "timestamp": "timestamp without time zone", "time": "time without time zone",
    "duration": "interval", "decimal": "numeric", "fixed_size_binary": "bytea",
}  # fmt: skip

_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_NAME_BYTES = 63
_SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")


@dataclass(frozen=True)
class Column:
    """One column: how the dataset calls it, how Postgres does, its type, what its values become."""

    key: str
    name: str
    type: str
    convert: Convert


class Names:
    """Names that Postgres takes, each given once; `taken` are given already.

    A plain name is written in small letters: PostgresML did not quote it either.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*_SYSTEM_COLUMNS, *taken}

    def name(self, key: str) -> str:
        """A name for a column that its source calls `key`."""
        wanted = plain_name(key)
        name, number = _cut(wanted, ""), 1
        while name in self._taken:
            number += 1
            name = _cut(wanted, f"_{number}")
        self._taken.add(name)
        return name


def plain_name(key: str) -> str:
    """The name that a key has where nothing else is in the way."""
    wanted = key.replace("\0", "") or "column"
    return wanted.lower() if _PLAIN_NAME.fullmatch(wanted) else wanted


def named(columns: Iterable[tuple[str, str, Convert]]) -> list[Column]:
    """The columns under names that Postgres takes, each once."""
    names = Names()
    return [Column(key, names.name(key), type_, convert) for key, type_, convert in columns]


def unique(names: Iterable[str]) -> Iterator[str]:
    """The names of a file's columns, repeated ones with a number."""
    taken: set[str] = set()
    for name in names:
        given, number = name, 1
        while given in taken:
            number += 1
            given = f"{name}_{number}"
        taken.add(given)
        yield given


def _cut(name: str, suffix: str) -> str:
    return name.encode()[: _MAX_NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix


def header(columns: Sequence[Column]) -> bytes:
    """The first row of an answer: names and types."""
    return json.dumps([{"name": c.name, "type": c.type} for c in columns]).encode()


def row(columns: Sequence[Column], values: dict[str, object], number: int) -> bytes:
    """One row as a JSON object in ASCII; raises InvalidText, RequestTooLarge."""
    made = {
        column.name: column.convert(value)
        for column in columns
        if (value := values.get(column.key)) is not None
    }
    text = _in_ascii(dumps(made))
    if b"\\u0000" in text and _NUL.search(text):
        raise InvalidText(f"row {number} contains U+0000, which Postgres cannot store")
    if len(text) > MAX_ROW_BYTES:
        raise RequestTooLarge(f"row {number} has {len(text)} bytes, {MAX_ROW_BYTES} are taken")
    return text


def of_feature(feature: object) -> tuple[str, Convert]:
    """The column type of a feature of the datasets library, and what its values become."""
    from datasets import features  # noqa: PLC0415  # only the extra `datasets` has it

    if isinstance(feature, features.ClassLabel):
        return "bigint", plain
    if isinstance(feature, features.Value):
        return _type_of_value(feature.dtype), plain
    if isinstance(feature, features.Json):
        return "jsonb", _parsed
    if isinstance(
        feature, (features.Array2D, features.Array3D, features.Array4D, features.Array5D)
    ):
        return f"{_type_of_value(feature.dtype)}[]", plain
    if isinstance(feature, (features.List, features.LargeList)):
        type_, convert = of_feature(feature.feature)
        if type_ == "jsonb" or type_.endswith("[]"):
            return "jsonb", plain
        return f"{type_}[]", lambda values: [None if v is None else convert(v) for v in values]
    if hasattr(feature, "decode"):  # Image, Audio, Video and the like
        return "bytea", _file
    return "jsonb", plain


def _type_of_value(dtype: str) -> str:
    if dtype in _TYPES:
        return _TYPES[dtype]
    if dtype.startswith("timestamp") and "tz=" in dtype:
        return "timestamp with time zone"
    return next((t for prefix, t in _PREFIXES.items() if dtype.startswith(prefix)), "jsonb")


def plain(value: object) -> Any:
    """A value as JSON that Postgres reads into its type."""
    match value:
        case None | bool() | int() | str() | Decimal():
            return value
        case float():
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case bytes():
            return f"\\x{value.hex()}"
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"
        case dict():
            return {str(k): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
        case _:
            return str(value)


def _parsed(value: str) -> Any:
    return loads(value.encode())


def _in_ascii(text: bytes) -> bytes:
    """The same JSON: whatever encoding the database has, it can be told of every character."""
    if text.isascii():
        return text
    return _FOREIGN.sub(lambda found: json.dumps(found[0])[1:-1], text.decode()).encode()


def _file(value: Any) -> str | None:
    """The encoded bytes. A path beside them is never followed: it may lead anywhere."""
    content = value.get("bytes") if isinstance(value, dict) else value
    return None if content is None else f"\\x{content.hex()}"
