"""A coloured text as one HTML file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources

from rowvec.explore.score.colours import strengths
from rowvec.explore.score.sentences import Sentence


def page(
    sentences: Sequence[Sentence], scores: Sequence[float], poles: tuple[str, str], title: str
) -> str:
    """The page as text; it asks no other host for anything."""
    marks = [
        f'{html.escape(one.before)}<span class="{"a" if score < 0 else "b"}"'
        f' style="--strength: {abs(strength):.3f}" title="{score:+.3f}" tabindex="0">'
        f"{html.escape(one.text)}</span>{html.escape(one.after)}"
        for one, score, strength in zip(sentences, scores, strengths(scores), strict=True)
    ]
    template = (resources.files("rowvec.explore.score") / "page.html").read_text(encoding="utf-8")
    filled = (
        ("{title}", title),
        ("{first}", poles[0]),
        ("{second}", poles[1]),
    )
    head, place, tail = template.partition("{text}")
    assert place
    for name, value in filled:
        head = head.replace(name, html.escape(value))
    return head + "".join(marks) + tail
