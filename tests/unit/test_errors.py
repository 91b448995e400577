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
