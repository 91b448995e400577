"""Citations of an answer against the sources that there are."""

from __future__ import annotations

import pytest

from rowvec.ask.citations import citations


@pytest.mark.parametrize(
    ("answer", "cited", "invented"),
    [
        ("Rivers flow [2]. They end in the sea [1][2].", [2, 1], []),
        ("Both [1, 3] and more [ 2-3 ].", [1, 3, 2], []),
        ("None of this is known [7], says [0] and [12345].", [], [7, 0]),
        ("A range beyond the sources [2\u20139].", [2], [9]),
        ("Backwards [3-1]", [3, 1], []),
        ("No citation: a[i], [x], [], (1)", [], []),
        ("A huge range [1-9999]", [1], [9999]),
    ],
)
def test_citations(answer: str, cited: list[int], invented: list[int]) -> None:
    found = citations(answer, 3)
    assert (found.cited, found.invented) == (cited, invented)
