"""JSON whose numbers stay what they are: one that a double would change is a Decimal."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from decimal import Decimal, DecimalException
from typing import Any, NoReturn

import orjson

from rowvec.errors import BadRow

# Where a double may not hold a number: sixteen digits, or an exponent of three. What is found in a
# text costs a look and nothing else.
_SUSPECT = re.compile(rb"[0-9][0-9.]{15,}(?:[eE][+-]?[0-9]+)?|[0-9][0-9.]*[eE][+-]?[0-9]{3,}")
_SAFE_DIGITS = 18  # so many always fit into 64 bits

# Digits that Postgres's numeric has before and after the point.
_MAX_WHOLE, _MAX_FRACTION = 131_072, 16_383


def loads(text: bytes) -> Any:
    """The value of a JSON text; raises ValueError, and BadRow for a number that nothing holds."""
    with suppress(orjson.JSONDecodeError):  # a number beyond all doubles is one to it, too
        value = orjson.loads(text)
        suspects: list[bytes] = _SUSPECT.findall(text)
        # What doubles print as it was written they have kept: quicker than to ask for each.
        printed = _printed(value) if suspects else []
        if len(printed) != len(suspects):
            printed = [b""] * len(suspects)
        if all(one == other or _is_kept(one) for one, other in zip(suspects, printed, strict=True)):
            return value
    try:
        return decoder.decode(text.decode())
    except RecursionError as exc:
        raise ValueError("the value is nested too deeply") from exc


def dumps(value: object) -> bytes:
    """JSON of a value, in which Decimals are numbers; what JSON does not have is its text.

    Raises BadRow for half of a surrogate pair, and for what is nested deeper than Python can go.
    """
    try:
        return orjson.dumps(value, default=_default)
    except TypeError:
        pass  # an integer beyond 64 bits, or more than 254 levels
    try:
        return _written(value).encode()
    except RecursionError as exc:
        raise BadRow("is nested too deeply") from exc
    except UnicodeEncodeError as exc:
        raise BadRow("contains half of a surrogate pair, which no encoding can carry") from exc


def is_kept(text: str) -> bool:
    """Whether a double has exactly the number that is written here."""
    shortest = repr(float(text))
    return shortest == text or Decimal(shortest) == numeric(text)


def numeric(text: str) -> Decimal | None:
    """The number exactly; None where Postgres's numeric has not the digits for it."""
    try:
        number = Decimal(text)
    except DecimalException:  # an exponent of twenty digits
        return None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # letters stand for what is not finite
    fits = number.adjusted() < _MAX_WHOLE and exponent >= -_MAX_FRACTION
    return number if fits else None


def _printed(value: object) -> list[bytes]:
    try:
        return _SUSPECT.findall(orjson.dumps(value))
    except TypeError:  # more levels than it writes
        return []


def _is_kept(found: bytes) -> bool:
    """Whether the fast parser keeps a number, if it is one."""
    text = found.decode()
    if text.isdigit():
        return len(text) <= _SAFE_DIGITS
    return text.count(".") > 1 or is_kept(text)  # two points: a version or a date, no number


def _of_float(text: str) -> float | Decimal:
    return float(text) if is_kept(text) else _numeric(text)


def _of_int(text: str) -> int | Decimal:
    if len(text) <= _SAFE_DIGITS:
        return int(text)
    exact = _numeric(text)
    return int(exact) if -(1 << 63) <= exact < 1 << 63 else exact


def _numeric(text: str) -> Decimal:
    exact = numeric(text)
    if exact is None:
        raise BadRow("has a number that no type of Postgres can hold")
    return exact


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# Slower by far, and its numbers are all exact.
decoder = json.JSONDecoder(parse_float=_of_float, parse_int=_of_int, parse_constant=_refuse)


def _default(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    return str(value)


def _written(value: object) -> str:
    match value:
        case dict():
            pairs = (f"{_written(str(key))}:{_written(each)}" for key, each in value.items())
            return "{" + ",".join(pairs) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_written, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case int() if not isinstance(value, bool):
            return str(value)
        case _:
            return orjson.dumps(value, default=_default).decode()
