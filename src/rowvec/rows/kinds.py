"""Types of columns by their values, for files that declare none (CSV and JSON).

Every value is looked at before the first is given: a type that was guessed by the beginning of a
file would fail in the middle of a load.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from rowvec.rows.exact_json import is_kept, numeric

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CODE = re.compile(r"[+-]?0[0-9]")  # 007 is a name, not a number
_DIGITS = 15  # fewer are always safe
_BOOLEAN = ("true", "false")

# A bigint whose values a double has exactly, as JavaScript calls it: it may become a double.
SAFE_BIGINT = "safe bigint"
_NUMBERS = (SAFE_BIGINT, "bigint", "double precision", "numeric")


def of_text(text: str) -> str:
    """The narrowest type that reads a cell of CSV."""
    if text.lower() in _BOOLEAN:
        return "boolean"
    if len(text) > 1000 or _CODE.match(text):
        return "text"
    if _INTEGER.fullmatch(text):
        return _of_integer(int(text))
    if _NUMBER.fullmatch(text):
        return _of_number(text)
    return "text"


def of_json(value: object) -> str | None:
    """The type of a value of JSON; None where it says nothing."""
    match value:
        case None:
            return None
        case bool():
            return "boolean"
        case int():
            return _of_integer(value)
        case float():
            return "double precision"
        case str():
            return "text"
        case list():
            kind: str | None = None
            for element in value:
                kind = united(kind, of_json(element))
            return "[]" if kind is None else _array(kind)
        case _:
            return "jsonb"


def of_cell(kind: str | None, cell: str) -> str | None:
    """The type that reads the cells of a column, of type `kind` so far, and this one, too."""
    if kind == SAFE_BIGINT and len(cell) < _DIGITS and _INTEGER.fullmatch(cell):
        return kind
    return united(kind, of_text(cell))


def of_value(value: object) -> str | None:
    """The type of a value of JSON or of a database's driver; None where it says nothing."""
    match value:
        case datetime():
            return f"timestamp {'without' if value.tzinfo is None else 'with'} time zone"
        case date():
            return "date"
        case time():
            return "time without time zone"
        case timedelta():
            return "interval"
        case Decimal():
            return "numeric"
        case UUID():
            return "uuid"
        case bytes() | bytearray() | memoryview():
            return "bytea"
        case _:
            return of_json(value)


def united(one: str | None, other: str | None) -> str | None:
    """The type that takes the values of both."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    if one.endswith("[]") and other.endswith("[]"):
        kind = united(one[:-2] or None, other[:-2] or None)
        return "[]" if kind is None else _array(kind)
    if one.endswith("[]") or other.endswith("[]") or "jsonb" in (one, other):
        return "jsonb"
    if one in _NUMBERS and other in _NUMBERS:
        if {one, other} == {"bigint", "double precision"}:
            return "numeric"
        return max(one, other, key=_NUMBERS.index)
    return "text"


def settled(kind: str | None) -> str:
    """The type of a column, all its values seen."""
    if kind is None:
        return "text"
    return "jsonb" if kind == "[]" else kind.replace(SAFE_BIGINT, "bigint")


def _array(kind: str) -> str:
    return "jsonb" if kind == "jsonb" or kind.endswith("[]") else f"{kind}[]"


def _of_number(text: str) -> str:
    if is_kept(text):
        return "double precision"
    return "text" if numeric(text) is None else "numeric"


def _of_integer(number: int) -> str:
    if -(2**53) < number < 2**53:
        return SAFE_BIGINT
    return "bigint" if -(2**63) <= number < 2**63 else "numeric"
