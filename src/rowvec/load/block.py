"""Many rows at once as lines of COPY's text format, column by column.

A row at a time costs a call a value. A column of a thousand rows is checked, converted and escaped
by a handful of calls, which is three times as fast. Nothing is decided here: where a value is
anything but what its column was found to take, all rows go the slow way, which knows what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson

from rowvec.errors import BadRow
from rowvec.load.fields import field_of
from rowvec.rows.kinds import SAFE_BIGINT, of_value, united
from rowvec.rows.reading import Row

_NULL = r"\N"
_NONE = type(None)
_STRINGS = frozenset({str, _NONE})
_SCALARS = frozenset({int, float, bool, _NONE})

# What a column of a kind takes as JSON writes it.
_TAKEN = {
    SAFE_BIGINT: frozenset({int, _NONE}),
    "bigint": frozenset({int, _NONE}),
    "numeric": frozenset({int, float, _NONE}),
    "double precision": frozenset({int, float, _NONE}),
    "boolean": frozenset({bool, _NONE}),
    "text": _SCALARS,
    "jsonb": _SCALARS,
    None: _SCALARS,
}
# Integers beyond are looked at one by one.
_SAFE = range(1 - (1 << 53), 1 << 53)
_RANGES = {SAFE_BIGINT: _SAFE, "double precision": _SAFE, "bigint": range(-(1 << 63), 1 << 63)}
_AS_ITS_OWN_TEXT = ("json", "jsonb")


@dataclass(eq=False)
class Field:
    """A column. `kind` is what its values need so far; None: no value yet, or an unknown one."""

    name: str
    type: str
    kind: str | None = None


def block(
    rows: Sequence[Row], fields: Mapping[str, Field | None], columns: Sequence[str]
) -> str | None:
    """The rows as lines, each with the values of `columns`; None where they do not fit `fields`.

    `fields` by the keys of rows; None is a key that never had a value.
    """
    keys: set[str] = set().union(*rows)
    if not keys <= fields.keys():
        return None
    made: dict[str, Sequence[str]] = {}
    for key, values in _columns(rows, sorted(keys)):
        field = fields[key]
        if field is None:
            if any(value is not None for value in values):
                return None
            continue
        written = _written(field, values)
        if written is None:
            return None
        made[field.name] = written
    nothing = [_NULL] * len(rows)
    lines = zip(*(made.get(name, nothing) for name in columns), strict=True)
    return "\n".join(map("\t".join, lines)) + "\n"


def _columns(rows: Sequence[Row], keys: Sequence[str]) -> Iterable[tuple[str, Sequence[Any]]]:
    """Each key's values, None where a row has it not."""
    if len(keys) > 1:
        # One call a row rather than one a value, where all rows have all keys.
        with suppress(KeyError):
            return list(zip(keys, zip(*map(itemgetter(*keys), rows), strict=True), strict=True))
    return [(key, [row.get(key) for row in rows]) for key in keys]


def _written(field: Field, values: Sequence[object]) -> list[str] | None:
    """A column's values as COPY reads them."""
    types = set(map(type, values))
    kind = field.kind
    if types == {_NONE}:
        return [_NULL] * len(values)
    if types <= _STRINGS and kind in ("text", None) and field.type not in _AS_ITS_OWN_TEXT:
        return _strings(values, has_null=len(types) > 1)
    if types <= _SCALARS:
        return _scalars(kind, types, values)
    if kind not in ("text", "jsonb", None) and not _are_arrays(kind, values):
        return None
    write = field_of(field.type)
    try:
        texts = [None if value is None else write(value) for value in values]
    except BadRow:
        return None
    return _strings(texts, has_null=True) if set(map(type, texts)) <= _STRINGS else None


def _are_arrays(kind: str, values: Sequence[object]) -> bool:
    """Whether all are arrays with elements that need no other type."""
    return kind.endswith("[]") and all(
        value is None or united(kind, of_value(value)) == kind for value in values
    )


def _strings(values: Sequence[Any], *, has_null: bool) -> list[str] | None:
    """Escaped; None where there is what Postgres cannot store."""
    joined = "\0".join(value or "" for value in values) if has_null else "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        return None
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError:
            return None
    for special, escaped in (("\\", r"\\"), ("\n", r"\n"), ("\t", r"\t"), ("\r", r"\r")):
        if special in joined:
            joined = joined.replace(special, escaped)
    texts = joined.split("\0")
    if not has_null:
        return texts
    return [_NULL if value is None else text for value, text in zip(values, texts, strict=True)]


def _scalars(kind: str | None, types: set[type], values: Sequence[Any]) -> list[str] | None:
    if not types <= _TAKEN.get(kind, frozenset()):
        return None
    try:
        texts = orjson.dumps(values)[1:-1].decode()
    except TypeError:  # an integer beyond 64 bits
        return None
    fitting = None if kind is None else _RANGES.get(kind)
    if fitting is not None and int in types:
        whole = [value for value in values if type(value) is int]
        if min(whole) not in fitting or max(whole) not in fitting:
            return None
    if texts.count("null") != values.count(None):  # orjson's word for infinity, too
        return None
    return (texts.replace("null", _NULL) if _NONE in types else texts).split(",")
