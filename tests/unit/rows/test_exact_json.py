"""JSON that is nested deeper than the fast library writes, or that no encoding can carry."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rowvec.errors import BadRow
from rowvec.rows.exact_json import dumps, loads


def nested(levels: int, inner: str) -> bytes:
    return ("[" * levels + inner + "]" * levels).encode()


@pytest.mark.parametrize("number", ["1", "9007199254740993.5", "1" * 30, "0.1234567890123456"])
@pytest.mark.parametrize("levels", [1, 253, 300, 400])
def test_deep_values_keep_their_numbers(levels: int, number: str) -> None:
    assert dumps(loads(nested(levels, number))) == nested(levels, number)


@pytest.mark.parametrize("number", ["1", "1" * 30])
def test_what_is_nested_beyond_all_limits_is_no_json(number: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        loads(nested(100_000, number))


def test_what_cannot_be_written_is_a_bad_row() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(BadRow, match="nested too deeply"):
        dumps(value)
    with pytest.raises(BadRow, match="half of a surrogate pair"):
        dumps({"a": ["\ud800"]})


def test_types_that_json_has_not_are_texts() -> None:
    assert dumps({"d": Decimal("NaN"), "n": 2**70, "e": Decimal("1.10")}) == (
        b'{"d":"NaN","n":1180591620717411303424,"e":1.10}'
    )
