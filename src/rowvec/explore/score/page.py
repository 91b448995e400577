"""A coloured text as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from rowvec.explore.score.colours import strengths
from rowvec.explore.score.sentences import Sentence
from rowvec.html_templates import html_templates


def page(
    sentences: Sequence[Sentence], scores: Sequence[float], poles: tuple[str, str], title: str
) -> str:
    """The page as text; it asks no other host for anything."""
    return (
        html_templates("rowvec.explore.score", ".")
        .get_template("score.html")
        .render(
            title=title,
            poles=poles,
            scored=list(zip(sentences, scores, strengths(scores), strict=True)),
        )
    )
