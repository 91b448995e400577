"""Names of clusters out of what a language model says, however it says it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rowvec.db.cluster_rows import CentralRow
from rowvec.explore.cluster.naming import Naming, parse
from rowvec.explore.cluster.run import Cluster


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Rivers and lakes\nAll are about water.", ("Rivers and lakes", "All are about water")),
        ('**Name:** "Rivers and lakes"\n\nSummary: water.', ("Rivers and lakes", "water")),
        ("Rivers.", ("Rivers", "")),
        ("\n \n", ("", "")),
    ],
)  # fmt: skip
def test_what_is_said(said: str, expected: tuple[str, str]) -> None:
    assert parse(said) == expected


class Scripted:
    """A language model that says always the same, and keeps what it was asked."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.prompts: list[str] = []

    def stream(self, prompt: str, max_tokens: int) -> Iterator[str]:
        self.prompts.append(prompt)
        yield from self.said[: max_tokens * 4]


def test_a_cluster_is_named_from_its_words_and_central_rows() -> None:
    central = [CentralRow(1, 7, 0.1, "the river\nflows"), CentralRow(1, 8, 0.2, "a lake")]
    cluster = Cluster(1, 20, "river, lake", ["river", "lake"], None, central)
    model = Scripted("Waters\nWhat flows.")
    named = Naming(model)(cluster)
    assert (named.name, named.summary) == ("Waters", "What flows")
    assert named.words == cluster.words
    (prompt,) = model.prompts
    assert "- the river flows\n- a lake" in prompt
    assert "river, lake" in prompt
    assert Naming(Scripted("  "))(cluster).name == "river, lake"
