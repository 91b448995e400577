"""A wait is expected to be as those before it were, and shorter where fewer are in line."""

from __future__ import annotations

import pytest

from rowvec.worker.expectation import Expectation


def seen(*waits: tuple[int, float]) -> Expectation:
    expectation = Expectation()
    for in_flight, seconds in waits:
        expectation.note(in_flight, seconds)
    return expectation


def test_nothing_is_expected_before_anything_was_seen() -> None:
    assert Expectation().seconds(9) == 0


def test_a_steady_line_is_learned() -> None:
    assert seen(*[(32, 0.16)] * 100).seconds(32) == pytest.approx(0.16, rel=0.01)


def test_of_a_shorter_line_less_is_expected_and_of_a_longer_one_no_more() -> None:
    expectation = seen(*[(32, 0.16)] * 100)
    assert expectation.seconds(8) == pytest.approx(0.04, rel=0.01)
    assert expectation.seconds(64) == expectation.seconds(32)


def test_one_wait_that_stands_out_changes_little() -> None:
    assert seen(*[(4, 0.02)] * 100, (4, 0.2)).seconds(4) < 0.04
