"""Words of groups: what is a word in any script, and which ones tell groups apart."""

from __future__ import annotations

import numpy as np
import pytest

from rowvec.explore.cluster.kmeans import Reservoir
from rowvec.explore.cluster.words import GroupWords, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop: 3 row_vectors", ["don't", "stop", "row", "vectors"]),
        ("zwölf Boxkämpfer", ["zwölf", "boxkämpfer"]),
        ("naïve cafe\u0301", ["naïve", "café"]),
        ("東京都の人", ["東京", "京都", "都の", "の人"]),
        ("Postgresの表", ["postgres", "の表"]),
        ("", []),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    found = list(words(text))
    assert found == expected


def test_what_every_group_holds_names_none() -> None:
    groups = GroupWords()
    for number in range(40):
        groups.add(1, f"the cat sat on the mat of the house {number}x")
        groups.add(2, f"the ship sails on the sea of the north {number}x")
    named = groups.distinctive(4)
    assert set(named[1]) == {"cat", "sat", "mat", "house"}
    assert set(named[2]) == {"ship", "sails", "sea", "north"}


def test_stop_words_give_their_place_to_the_next() -> None:
    groups = GroupWords()
    for number in range(4):
        groups.add(1, f"from rivers to seas {number}")
        groups.add(2, f"of primes {number}")
    assert set(groups.all_words()) == {"from", "rivers", "to", "seas", "of", "primes"}
    named = groups.distinctive(2, {"from", "to", "of"})
    assert {group: set(words) for group, words in named.items()} == {
        1: {"rivers", "seas"}, 2: {"primes"},
    }  # fmt: skip


def test_a_word_of_one_text_does_not_name_its_group() -> None:
    groups = GroupWords()
    for group, word in ((1, "cat"), (2, "ship")):
        groups.add(group, f"{word} xylophone xylophone xylophone")
        groups.add(group, f"{word} again")
    assert groups.distinctive(1) == {1: ["cat"], 2: ["ship"]}


def test_a_sample_draws_each_row_as_often_as_another() -> None:
    drawn = np.zeros(100, int)
    for seed in range(400):
        sample = Reservoir(20, 1, seed)
        for start in range(0, 100, 7):
            sample.add(np.arange(start, min(start + 7, 100), dtype=np.float32)[:, None])
        rows = sample.rows()[:, 0].astype(int)
        assert len(set(rows)) == 20
        drawn[rows] += 1
    # 400 times 20 of 100: 80 each, with a standard deviation of 8.
    assert 45 < drawn.min() < drawn.max() < 115
    assert abs(drawn[:50].sum() - drawn[50:].sum()) < 400
