"""Where a text may be cut: paragraphs, sentences, lines, words, and what is never taken apart.

Rules, not a language model: they need no data, know the punctuation of the larger scripts, and
take time in proportion to the text, whatever it holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

Border = Literal["paragraph", "sentence", "line", "word"]

# Each match ends where the next piece begins. A lookbehind lets a run of characters be tried from
# its start only, and `++` never gives back: otherwise a million dots would take a trillion steps.
_PARAGRAPH = re.compile(r"(?:(?>\r\n|[\n\r\x85\u2028])[^\S\n\r\x85\u2028]*+){2,}+|[\f\u2029]\s*+")
_SENTENCE = re.compile(
    r"""(?<![.!?…])[.!?…؟।॥۔։።]++["'”’»)\]]*+\s++"""  # noqa: RUF001 - other scripts are the point
    r"""|[。！？｡．]++["'”’」』）】]*+\s*+"""  # noqa: RUF001
)
_SENTENCE_OR_PARAGRAPH = re.compile(f"{_PARAGRAPH.pattern}|{_SENTENCE.pattern}")
_LINE = re.compile(r"[\n\r\x85\u2028]\s*+")
_WORD = re.compile(r"(?<!\s)\s++")

_PATTERNS: dict[Border, re.Pattern[str]] = {
    "paragraph": _PARAGRAPH,
    "sentence": _SENTENCE_OR_PARAGRAPH,
    "line": _LINE,
    "word": _WORD,
}

_ZERO_WIDTH_JOINER = "\u200d"


def borders(text: str, kind: Border, start: int, end: int) -> Iterator[int]:
    """Every place after `start`, up to `end`, where a piece of that kind begins, in order.

    The end of a paragraph also ends a sentence, and so on down.
    """
    for found in _PATTERNS[kind].finditer(text, start, end):
        if kind != "sentence" or _ends_sentence(text, found):
            yield found.end()


def parts_cluster(text: str, place: int, since: int) -> bool:
    """Whether a cut there would part what is read as one character; one begins at `since`.

    Combining marks, joined emoji, flags, skin tones, Hangul written in letters, CR LF.
    """
    if not since < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if before.isascii() and after.isascii():
        return before == "\r" and after == "\n"
    return (
        _extends(after)
        or before == _ZERO_WIDTH_JOINER
        or _is_one_syllable(before, after)
        or (_is_flag_letter(after) and _flag_letters_before(text, place, since) % 2 == 1)
    )


def _ends_sentence(text: str, found: re.Match[str]) -> bool:
    """Not after an initial (J. Smith), nor where the text continues in lower case (e.g. this)."""
    if not found[0].startswith("."):
        return True
    if text[found.end() : found.end() + 1].islower():
        return False
    letter, before = found.start() - 1, found.start() - 2
    is_initial = letter >= 0 and text[letter].isupper() and (before < 0 or text[before] in " \n(")
    return not is_initial


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Mn", "Mc", "Me"}
        or character == _ZERO_WIDTH_JOINER
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _is_one_syllable(before: str, after: str) -> bool:
    """Two letters of Hangul (leading, vowel, trailing), of which the second begins no syllable."""
    letters = "\u1100" <= before <= "\u11ff" and "\u1100" <= after <= "\u11ff"
    return letters and (after > "\u115f" or before <= "\u115f")


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_letters_before(text: str, place: int, since: int) -> int:
    first = place
    while first > since and _is_flag_letter(text[first - 1]):
        first -= 1
    return place - first
