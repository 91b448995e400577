"""The words that tell groups of texts apart: c-TF-IDF after Grootendorst 2022 (arXiv:2203.05794).

A word weighs sqrt(tf) · log((A + 1) / (f + 1/2))², where tf is its share of the words of its group,
f how often it occurs in all groups, and A the mean number of words of a group. That is the form for
frequent words that the author's library has too (root and BM25), with the rarity squared: so what
every text of a language holds weighs next to nothing, even in a group of biographies, which tell
themselves apart by "he" and "was". But a hundred texts do not tell what is frequent in a language:
stop words, where they are known, are left out.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

# Runs of letters, with the marks and apostrophes within them; digits and underscores end them.
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f'\u2019\u00ad](?=[^\W\d_]))*")
# Scripts that put no space between words: their pairs of characters serve as words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# A word in fewer texts of a group than this number, or than this share, does not name the group.
_MIN_TEXTS, _MIN_SHARE = 2, 0.05


def words(text: str) -> Iterator[str]:
    """The words of a text in lower case, in any language."""
    for found in _WORD.finditer(unicodedata.normalize("NFC", text.lower())):
        word = found[0].replace("\u2019", "'").replace("\u00ad", "")
        at = 0
        for unspaced in _UNSPACED.finditer(word):
            if at < unspaced.start():
                yield word[at : unspaced.start()]
            yield from _pairs(unspaced[0])
            at = unspaced.end()
        if at < len(word):
            yield word[at:]


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    yield from (run[i : i + 2] for i in range(len(run) - 1))


class GroupWords:
    """Counts the words of groups, text after text, and names those that tell each one apart."""

    def __init__(self) -> None:
        self._groups: dict[int, Counter[str]] = {}
        self._texts: Counter[int] = Counter()

    def add(self, group: int, text: str) -> None:
        """One more text of a group. A word counts once a text, however often that repeats it."""
        self._groups.setdefault(group, Counter()).update(set(words(text)))
        self._texts[group] += 1

    def all_words(self) -> list[str]:
        """Every word of every group, once."""
        return list(set().union(*self._groups.values()))

    def distinctive(self, count: int, stop_words: Collection[str] = ()) -> dict[int, list[str]]:
        """The `count` words of each group that weigh most, the heaviest first; no stop words."""
        total: Counter[str] = Counter()
        for counted in self._groups.values():
            total.update(counted)
        mean = total.total() / max(1, len(self._groups))
        return {
            group: [
                word
                for word, _ in sorted(
                    self._weighed(group, counted, total, mean), key=lambda pair: (-pair[1], pair[0])
                )
                if word not in stop_words
            ][:count]
            for group, counted in self._groups.items()
        }

    def _weighed(
        self, group: int, counted: Mapping[str, int], total: Mapping[str, int], mean: float
    ) -> Iterable[tuple[str, float]]:
        texts = self._texts[group]
        needed = max(min(_MIN_TEXTS, texts), _MIN_SHARE * texts)
        size = sum(counted.values())
        for word, n in counted.items():
            if n < needed or len(word) < 2:
                continue
            rarity = math.log((mean + 1) / (total[word] + 0.5))
            if rarity > 0:
                yield word, math.sqrt(n / size) * rarity**2
