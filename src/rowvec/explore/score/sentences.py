"""The sentences of a text, with everything between them."""

from __future__ import annotations

from dataclasses import dataclass

from rowvec.chunking.borders import borders


@dataclass(frozen=True)
class Sentence:
    """One sentence; `before` and `after` are the white space around it, so that nothing is lost."""

    text: str
    before: str = ""
    after: str = ""


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text; put together again they are the text, unless it is blank."""
    found = []
    start = 0
    for end in [*borders(text, "sentence", 0, len(text)), len(text)]:
        piece = text[start:end]
        inner = piece.strip()
        start = end
        if inner:
            at = piece.index(inner)
            found.append(Sentence(inner, piece[:at], piece[at + len(inner) :]))
        elif piece and found:
            last = found[-1]
            found[-1] = Sentence(last.text, last.before, last.after + piece)
    return found


def words(pole: str) -> list[str]:
    """What a pole of the scale is made of: each word, or each line where there are several."""
    lines = [line.strip() for line in pole.splitlines() if line.strip()]
    return lines if len(lines) > 1 else pole.split()
