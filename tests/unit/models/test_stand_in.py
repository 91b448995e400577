"""The stand-in is the same everywhere, and as slow and as choosy as it is told to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.errors import InvalidRequest
from rowvec.models.families.stand_in import StandInEmbedder, derived_vector


def vectors(model: StandInEmbedder, *texts: str, prompt: str = "") -> np.ndarray:
    return model.forward(model.tokenize(texts, prompt))


def test_the_vectors_never_change() -> None:
    """Stored vectors of tests and benches stay valid from release to release."""
    expected = [-0.20302159, 0.51242924, -0.55866253, -0.61975372]
    assert derived_vector("a", 4) == pytest.approx(expected, abs=1e-6)


@given(st.text(max_size=30), st.integers(1, 40))
def test_a_vector_has_length_one_and_depends_on_the_text_only(text: str, dimensions: int) -> None:
    model = StandInEmbedder(dimensions=dimensions)
    (vector,) = vectors(model, text)
    assert vector.shape == (dimensions,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert (vectors(model, "other", text)[1] == vector).all()


def test_words_are_tokens_and_those_beyond_the_limit_are_not_read() -> None:
    model = StandInEmbedder(max_tokens=3)
    (whole,) = model.tokenize(["a b c d e"], "")
    assert (whole.count, whole.length) == (5, 3)
    assert (vectors(model, "a b c d e") == vectors(model, "a b c x")).all()
    assert not (vectors(model, "a b c") == vectors(model, "a b x")).all()


def test_a_prompt_is_read_before_the_text() -> None:
    model = StandInEmbedder()
    assert (vectors(model, "b", prompt="a ") == vectors(model, "a b")).all()


def test_a_text_that_it_shall_refuse_fails_its_batch() -> None:
    model = StandInEmbedder(refuse="refuse m[aeiou]")
    with pytest.raises(InvalidRequest):
        vectors(model, "fine", "please refuse me")
    assert len(vectors(model, "fine")) == 1
