"""Instructor: text and instruction read as one, the instruction left out of the mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoTokenizer, T5EncoderModel

from rowvec.models.families.instructor import Instructor
from rowvec.models.families.sentence_transformers import SentenceTransformers
from rowvec.models.family import Entry, Family
from rowvec.models.spec import ModelSpec


@pytest.fixture(scope="module")
def folder(t5_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As hkunlp/instructor-* are saved: nothing in it says that prompts are left out."""
    folder = tmp_path_factory.mktemp("instructor")
    torch.manual_seed(2)
    dense = Dense(32, 24, bias=False, activation_function=torch.nn.Identity())
    SentenceTransformer(
        modules=[Transformer(str(t5_folder)), Pooling(32, "mean"), dense, Normalize()], device="cpu"
    ).save(str(folder))
    return folder


def load(family: type[Family], folder: Path) -> object:
    return family.load(ModelSpec(family.describe(Entry("m", ("m",), folder)), "m", folder=folder))


def reference(folder: Path, instruction: str, texts: list[str]) -> np.ndarray:
    """The computation of the INSTRUCTOR paper's code, one text at a time, in transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = T5EncoderModel.from_pretrained(folder).eval()
    dense: Any = SentenceTransformer(str(folder), device="cpu")[2].linear
    # The end token of the instruction read alone does not stand in the whole.
    left_out = len(tokenizer(instruction)["input_ids"]) - 1
    rows = []
    for text in texts:
        read = tokenizer(instruction + text, truncation=True, max_length=32, return_tensors="pt")
        with torch.inference_mode():
            tokens = encoder(**read).last_hidden_state[0]
            projected = dense(tokens[left_out:].mean(dim=0))
            rows.append((projected / projected.norm()).numpy())
    return np.stack(rows)


def test_the_instruction_is_read_but_not_pooled(
    folder: Path,
    texts: list[str],
    instruction: str,
    embed: Callable[..., np.ndarray],
    assert_same: Callable[..., None],
) -> None:
    instruction = instruction[:22]  # the small model reads 32 tokens, most of them letters
    vectors = embed(load(Instructor, folder), texts, instruction)
    assert_same(vectors, reference(folder, instruction, texts))
    library = SentenceTransformer(str(folder), device="cpu")
    library.set_pooling_include_prompt(include_prompt=False)
    assert_same(vectors, library.encode(texts, prompt=instruction))


def test_instruction_and_pooling_change_the_vector(
    folder: Path, texts: list[str], instruction: str, embed: Callable[..., np.ndarray]
) -> None:
    instruction = instruction[:22]
    left_out = embed(load(Instructor, folder), texts, instruction)
    pooled = embed(load(SentenceTransformers, folder), texts, instruction)
    without = embed(load(Instructor, folder), texts)
    for other in (pooled, without):
        assert ((left_out * other).sum(axis=1) < 0.9999).all()


def test_only_this_kind_takes_an_instruction(folder: Path) -> None:
    names = ("hkunlp/instructor-xl",)
    assert Instructor.describe(Entry("m", names, folder)).takes_instruction
    assert not SentenceTransformers.describe(Entry("m", names, folder)).takes_instruction
    assert (
        Instructor.describe(Entry("m", names, folder)).prompts["document"].startswith("Represent")
    )
