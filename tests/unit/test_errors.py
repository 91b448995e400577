"""The tree of errors is closed: every class has a SQLSTATE, and a SQLSTATE finds its class."""

from __future__ import annotations

import re

import pytest

from rowvec import errors


@pytest.mark.parametrize("error", errors.subclasses(), ids=lambda c: c.__name__)
def test_every_class_has_a_sqlstate_and_comes_back_from_it(error: type[errors.RowvecError]) -> None:
    assert re.fullmatch(r"[0-9A-Z]{5}", error.sqlstate)
    back = errors.from_sqlstate(error.sqlstate, "what happened", "what to do")
    assert back.sqlstate == error.sqlstate
    assert (str(back), back.hint) == ("what happened", "what to do")


def test_an_error_names_its_input_in_front_and_in_its_detail() -> None:
    error = errors.InvalidText("the text is odd", input_number=7)
    assert (str(error), error.message) == ("input 7: the text is odd", "the text is odd")
    assert errors.input_named_in(error.detail) == 7
    assert errors.InvalidText("input 7 is odd").detail is None


@pytest.mark.parametrize(
    "detail",
    [None, "", "input 7", "7", '["input"]', '{"input": "7"}', "Key (input)=(7) already exists."],
)
def test_a_detail_that_is_not_ours_names_no_input(detail: str | None) -> None:
    assert errors.input_named_in(detail) is None


def test_who_hands_on_some_inputs_renumbers_them() -> None:
    for number, expected in ((1, 5), (2, 3), (3, None), (0, None)):
        with pytest.raises(errors.InvalidText) as caught, errors.renumbering([4, 2]):
            raise errors.InvalidText("x", input_number=number)
        assert caught.value.input_number == expected


def test_every_class_stands_in_the_tree_of_the_docstring() -> None:
    drawn = dict(re.findall(r"^\s+(\w+)\s+([0-9A-Z]{5})\s", errors.__doc__ or "", re.MULTILINE))
    assert drawn == {c.__name__: c.sqlstate for c in errors.subclasses()}


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("08006", errors.WorkerUnreachable),
        ("53200", errors.OutOfMemory),
        ("57P03", errors.ShuttingDown),
        ("22P02", errors.InvalidRequest),
        ("58030", errors.BackendFailed),
        ("XX000", errors.RowvecError),
    ],
)
def test_a_foreign_sqlstate_falls_to_its_class(sqlstate: str, expected: type) -> None:
    assert type(errors.from_sqlstate(sqlstate, "x")) is expected


def test_a_failed_engine_is_worth_a_retry() -> None:
    assert errors.from_sqlstate(errors.BackendFailed.sqlstate, "x").retryable
