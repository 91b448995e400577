"""Values of Arrow as Python has them, and as Postgres writes them where Python has none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rowvec.errors import BadRow

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # of both kinds of timestamps
_DAY = 86_400_000_000
_MICROSECONDS = {"s": 1_000_000, "ms": 1000, "us": 1}
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097  # after which the calendar repeats


def values(column: Any) -> list[Any]:
    """The values of an array of pyarrow; maps with texts as keys are dicts.

    Raises BadRow for a time beyond Python's years that is part of another value.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        found = column.to_pylist()
    except (OverflowError, ValueError):
        found = [_value(scalar) for scalar in column]
    return list(map(_of_map, found)) if pa.types.is_map(column.type) else list(found)


def _of_map(pairs: list[tuple[Any, Any]] | None) -> Any:
    if pairs is None:
        return None
    made = {key: value for key, value in pairs if isinstance(key, str)}
    return made if len(made) == len(pairs) else pairs


def _value(scalar: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    try:
        return scalar.as_py()
    except (OverflowError, ValueError) as exc:
        if pa.types.is_date32(scalar.type):
            return moment(scalar.value * _DAY)
        if pa.types.is_date64(scalar.type):
            return moment(scalar.value * _MICROSECONDS["ms"])
        if pa.types.is_timestamp(scalar.type) and scalar.type.unit in _MICROSECONDS:
            zone = "" if scalar.type.tz is None else "+00"
            return moment(scalar.value * _MICROSECONDS[scalar.type.unit], zone)
        raise BadRow("has a time that is beyond the year 9999, or finer than microseconds") from exc


def moment(microseconds: int, zone: str = "") -> str:
    """A time since 1970 as Postgres reads it, in any year."""
    days, rest = divmod(microseconds, _DAY)
    cycles, day = divmod(days, _CYCLE_DAYS)
    within = _EPOCH + timedelta(days=day, microseconds=rest)
    year = within.year + cycles * _CYCLE_YEARS
    era = " BC" if year <= 0 else ""
    return f"{year if year > 0 else 1 - year:04}-{within:%m-%d %H:%M:%S.%f}{zone}{era}"
