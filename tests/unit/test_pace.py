"""Batches bounded by time: what is measured decides how large the next one is."""

from __future__ import annotations

from rowvec.worker.pace import Pace


def test_a_model_that_was_not_measured_gets_all() -> None:
    assert Pace(0.2).tokens("m", 2048) == 2048


def test_a_fast_model_keeps_all_and_a_slow_one_gets_less() -> None:
    pace = Pace(0.2)
    pace.note("fast", 2000, 0.1)
    pace.note("slow", 2000, 1.0)
    assert pace.tokens("fast", 2048) == 2048
    assert pace.tokens("slow", 2048) == 400


def test_small_batches_tell_nothing_unless_they_are_slow() -> None:
    pace = Pace(0.2)
    pace.note("m", 2000, 0.2)
    pace.note("m", 4, 0.01)
    assert pace.tokens("m", 100_000) == 2000
    pace.note("m", 4, 10)
    assert pace.tokens("m", 100_000) == 1400


def test_never_so_little_that_batches_are_no_use() -> None:
    pace = Pace(0.2)
    pace.note("m", 300, 60)
    assert pace.tokens("m", 2048) == 128
    pace.forget("m")
    assert pace.tokens("m", 2048) == 2048
