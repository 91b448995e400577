"""Cross-encoders: scores equal to sentence-transformers' own, activation included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from rowvec.errors import ModelError
from rowvec.models.families import cross_encoder
from rowvec.models.families.cross_encoder.scorer import CrossEncoderScorer
from rowvec.models.family import Entry

QUERY = "where is the food stored"


@pytest.mark.parametrize("activation", [torch.nn.Sigmoid, torch.nn.Identity])
def test_scores_are_those_of_the_library(
    bert_folder: Callable[..., Path],
    texts: list[str],
    tmp_path: Path,
    embed: Callable[..., np.ndarray],
    activation: type[torch.nn.Module],
) -> None:
    saved = CrossEncoder(
        str(bert_folder("BertForSequenceClassification")), device="cpu", activation_fn=activation()
    )
    saved.save(str(tmp_path))
    ours = CrossEncoderScorer(tmp_path)
    theirs = CrossEncoder(str(tmp_path), device="cpu")
    scores = embed(ours, texts, QUERY)[:, 0]
    expected = theirs.predict([(QUERY, text) for text in texts])
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(expected))
    other_query = embed(ours, texts, "the lazy dog")[:, 0]
    assert not np.allclose(scores, other_query)
    assert (scores.min() < 0 or scores.max() > 1) == (activation is torch.nn.Identity)
    description = cross_encoder.CrossEncoder.describe(Entry("m", ("m",), tmp_path))
    assert (description.max_tokens, description.gives) == (ours.max_tokens, "score")


def test_the_longer_text_of_a_pair_is_cut(
    bert_folder: Callable[..., Path], texts: list[str]
) -> None:
    ours = CrossEncoderScorer(bert_folder("BertForSequenceClassification"))
    long_document = ours.tokenize([texts[-1]], QUERY)[0]
    assert (long_document.length, long_document.count > 80) == (ours.max_tokens, True)


def test_several_labels_are_no_score(bert_folder: Callable[..., Path]) -> None:
    folder = bert_folder("BertForSequenceClassification", labels=3)
    with pytest.raises(ModelError, match="has 3 labels, a cross-encoder for ranking has one"):
        cross_encoder.CrossEncoder.describe(Entry("m", ("m",), folder))


def test_an_embedding_model_is_no_cross_encoder(bert_folder: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="is of no model that scores pairs of texts"):
        cross_encoder.CrossEncoder.describe(Entry("m", ("m",), bert_folder("BertModel")))
