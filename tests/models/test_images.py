"""CLIP: images and texts in one space, equal to `SentenceTransformer.encode` of both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from transformers import (
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from rowvec.errors import NotSupported
from rowvec.models.families.sentence_transformers import SentenceTransformers
from rowvec.models.families.sentence_transformers.dense import load_dense
from rowvec.models.families.sentence_transformers.transformer import TransformerEmbedder
from rowvec.models.family import Entry

TEXTS = ["a red square", "a blue one", "", "row " * 40]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Of one colour, of noise, wider and higher than the model reads."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    return [
        Image.new("RGB", (32, 32), (200, 10, 10)),
        Image.new("RGB", (64, 200), (10, 10, 200)),
        Image.fromarray(noise),
    ]


@pytest.fixture(params=["transformers", "sentence-transformers", "clip-ViT-B-32"])
def folder(request: pytest.FixtureRequest, clip_folder: Path, tmp_path: Path) -> Path:
    """CLIP as either library saves it, and as sentence-transformers did for its own models."""
    match request.param:
        case "transformers":
            return clip_folder
        case "sentence-transformers":
            SentenceTransformer(str(clip_folder), device="cpu").save(str(tmp_path))
        case _:
            shutil.copytree(clip_folder, tmp_path / "0_CLIPModel")
            module = {"idx": 0, "name": "0", "path": "0_CLIPModel"}
            module["type"] = "sentence_transformers.models.CLIPModel"
            (tmp_path / "modules.json").write_text(json.dumps([module]))
    return tmp_path


def test_texts_and_images_are_those_of_the_library(
    folder: Path,
    pictures: list[Image.Image],
    embed: Callable[..., np.ndarray],
    assert_same: Callable[..., None],
) -> None:
    ours = load_dense(folder)
    assert isinstance(ours, TransformerEmbedder)
    theirs = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    assert_same(embed(ours, TEXTS), theirs.encode(TEXTS))
    prepared = ours.prepare(pictures)
    vectors = ours.forward(prepared)
    assert_same(vectors, theirs.encode(pictures))
    assert {image.length for image in prepared} == {17}, "four by four patches, and one for all"
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


def test_the_folder_says_what_the_model_reads(folder: Path) -> None:
    description = SentenceTransformers.describe(Entry("clip", ("clip",), folder))
    assert description.reads == ("text", "image")
    assert (description.dimensions, description.max_tokens) == (24, 16)


def test_a_text_model_takes_no_image(
    bert_folder: Callable[..., Path], tmp_path: Path, pictures: list[Image.Image]
) -> None:
    SentenceTransformer(str(bert_folder()), device="cpu").save(str(tmp_path))
    assert SentenceTransformers.describe(Entry("m", ("m",), tmp_path)).reads == ("text",)
    ours = load_dense(tmp_path)
    assert isinstance(ours, TransformerEmbedder)
    with pytest.raises(NotSupported, match=r"^the model reads texts, not images$"):
        ours.prepare(pictures)


def test_an_image_model_takes_no_text(
    tmp_path: Path, pictures: list[Image.Image], assert_same: Callable[..., None]
) -> None:
    torch.manual_seed(6)
    config = ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=32, patch_size=8,
    )  # fmt: skip
    ViTModel(config).save_pretrained(tmp_path / "vit")
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "vit")
    theirs = SentenceTransformer(str(tmp_path / "vit"), device="cpu")
    theirs.save(str(tmp_path / "saved"))
    ours = load_dense(tmp_path / "saved")
    assert isinstance(ours, TransformerEmbedder)
    assert_same(ours.forward(ours.prepare(pictures)), theirs.encode(pictures))
    description = SentenceTransformers.describe(Entry("m", ("m",), tmp_path / "saved"))
    assert (description.reads, description.dimensions) == (("image",), 32)
    with pytest.raises(NotSupported, match=r"^the model reads images, not texts$"):
        ours.tokenize(["x"], "")
