"""Sentences between two poles: nothing of the text is lost, and the scale is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from rowvec.errors import InvalidRequest
from rowvec.explore.score.axis import Axis
from rowvec.explore.score.colours import mixed, strengths
from rowvec.explore.score.page import page
from rowvec.explore.score.sentences import Sentence, sentences


@pytest.mark.parametrize(
    "text",
    [
        "One. Two!  Three?\n\nA new paragraph",
        "  Space before. And after \n",
        "Dr. J. Smith came. 東京は大きい。人が多い。",
        "no full stop",
    ],
)
def test_sentences_put_together_are_the_text(text: str) -> None:
    found = sentences(text)
    assert "".join(one.before + one.text + one.after for one in found) == text
    assert all(one.text == one.text.strip() != "" for one in found)


def test_sentences_are_parted() -> None:
    assert [one.text for one in sentences("One. Two!\n\nThree")] == ["One.", "Two!", "Three"]
    assert sentences(" \n ") == []


def test_the_poles_are_at_minus_one_and_one() -> None:
    first = np.array([[1, 0, 0], [2, 0.2, 0]], np.float32)
    second = np.array([[0, 1, 0]], np.float32)
    axis = Axis(first, second)
    middle = np.array([[0, 0, 5]], np.float32)
    at_first = (first / np.linalg.norm(first, axis=1, keepdims=True)).mean(axis=0, keepdims=True)
    assert axis.scores(at_first) == pytest.approx([-1], abs=1e-5)
    assert axis.scores(second) == pytest.approx([1], abs=1e-6)
    assert axis.scores(middle) == pytest.approx([0], abs=1e-6)


def test_poles_that_mean_the_same_are_refused() -> None:
    one = np.ones((1, 4), np.float32)
    with pytest.raises(InvalidRequest, match="mean the same"):
        Axis(one, 2 * one)


def test_the_strongest_has_the_full_colour() -> None:
    assert strengths([-0.2, 0.1]) == [-1.0, 0.5]
    assert strengths([0.0]) == [0.0]
    assert mixed(0.0, (9, 9, 9)) == (9, 9, 9)
    red, _, blue = mixed(-1.0, (250, 250, 250))
    assert red > blue


def test_the_page_takes_no_text_for_html() -> None:
    text = page([Sentence("<b>{title}</b>", "", " ")], [0.5], ("<i>", "warm"), "a & b")
    assert "&lt;b&gt;{title}&lt;/b&gt;" in text
    assert "<b>" not in text.replace("&lt;b&gt;", "")
    assert "&lt;i&gt;" in text
    assert "<title>a &amp; b</title>" in text
    assert "http://" not in text
    assert "https://" not in text
