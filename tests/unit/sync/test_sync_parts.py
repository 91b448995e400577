"""How often sync looks, whose turn it is, what it says of trouble, and how chunks become a mean."""

from __future__ import annotations

import numpy as np
import pytest

from rowvec.errors import WorkerUnreachable
from rowvec.filling.making import mean
from rowvec.sync.pace import BUSY_SECONDS, IDLE_SECONDS, Pace
from rowvec.sync.run import mine
from rowvec.sync.trouble import Trouble


def test_rows_that_come_every_half_second_find_it_looking_ten_times_a_second() -> None:
    pace = Pace()
    for _ in range(20):
        pace.found()
        waited = 0.0
        while waited < 0.5:
            assert pace.pause() == BUSY_SECONDS
            waited += BUSY_SECONDS


def test_without_rows_it_slows_down_to_once_a_second_and_no_further() -> None:
    pace = Pace()
    pauses = [pace.pause() for _ in range(500)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == IDLE_SECONDS
    assert sum(pauses[:60]) < 60
    pace.found()
    assert pace.pause() == BUSY_SECONDS


@pytest.mark.parametrize("syncs", [1, 2, 3, 5])
def test_every_embedding_falls_to_one_sync_and_they_share_evenly(syncs: int) -> None:
    pids = list(range(100, 100 + syncs))
    state = [{"id": number, "candidates": pids} for number in range(7, 27)]
    shares = [mine(state, pid) for pid in pids]
    assert sorted(number for share in shares for number in share) == list(range(7, 27))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_an_embedding_that_few_would_keep_falls_to_one_of_them() -> None:
    state = [
        {"id": 1, "candidates": [5, 6]},
        {"id": 2, "candidates": [6]},
        {"id": 3, "candidates": []},
    ]
    assert [*mine(state, 5), *mine(state, 6)] == [1, 2]


def test_trouble_is_said_once_and_waited_for_ever_longer() -> None:
    said: list[str] = []
    trouble = Trouble("t.embedding", said.append)
    pauses = [trouble.met(WorkerUnreachable("nobody answers")) for _ in range(10)]
    assert pauses == sorted(pauses)
    assert trouble.reason == "nobody answers"
    trouble.over()
    trouble.over()
    assert said == [
        "t.embedding: nobody answers; trying again until it works",
        "t.embedding: going on",
    ]
    assert trouble.reason is None
    assert trouble.met(WorkerUnreachable("again")) == pauses[0]


def test_the_mean_of_unit_vectors_is_one_and_that_of_others_is_not() -> None:
    units = np.array([[1, 0], [0, 1]], np.float32)
    assert mean(units) == pytest.approx([0.5**0.5, 0.5**0.5])
    assert mean(2 * units) == pytest.approx([1, 1])
    assert mean(np.array([[1, 0], [-1, 0]], np.float32)) == pytest.approx([0, 0])
    assert mean(units).dtype == np.float32
