"""Citations of an answer, held against the sources that it was given."""

from __future__ import annotations

import re
from dataclasses import dataclass

# [1], [1, 2], [1; 2], [1-3]; digits of any script are left alone: sources are numbered in ASCII.
_CITATION = re.compile(r"\[\s*([0-9]{1,4}(?:\s*[,;\-\u2013]\s*[0-9]{1,4})*)\s*\]")
_RANGE = re.compile(r"([0-9]+)(?:\s*[\-\u2013]\s*([0-9]+))?")


@dataclass(frozen=True)
class Citations:
    """Numbers of sources, each once, in the order in which the answer names them."""

    cited: list[int]
    invented: list[int]


def citations(answer: str, sources: int) -> Citations:
    """What the answer cites: sources from 1 to `sources`, and numbers that are none."""
    named: dict[int, None] = {}
    for found in _CITATION.finditer(answer):
        for first, last in _RANGE.findall(found[1]):
            start, stop = int(first), int(last or first)
            # A range that runs backwards, or over more than there is, names its ends.
            numbers = range(start, stop + 1) if start <= stop <= sources else (start, stop)
            named.update(dict.fromkeys(numbers))
    return Citations(
        cited=[number for number in named if 1 <= number <= sources],
        invented=[number for number in named if not 1 <= number <= sources],
    )
