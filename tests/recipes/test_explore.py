"""docs/recipes/{clusters,map,ask,score,images}.md, command by command, from no database on."""

from __future__ import annotations

import json
import os
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTokenizerFast,
    CLIPVisionConfig,
)

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def environment(folder: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The commands of this installation, and an instance of the test's own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    environment = {
        **clean, "PATH": path, "ROWVEC_DATA": str(folder / tmp_path.name), "COLUMNS": "200",
        "PAGER": "cat",
    }  # fmt: skip
    yield environment
    subprocess.run(["rowvec", "down"], env=environment, capture_output=True, check=False)  # noqa: S607


def run(blocks: list[str], environment: dict[str, str], folder: Path) -> list[tuple[str, str]]:
    """What each block printed to stdout and stderr, within one shell that keeps its variables."""
    end = "--- end of a block ---"
    script = "".join(f"{block}\necho '{end}'; echo '{end}' >&2\n" for block in blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607
        cwd=folder, env=environment, capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return list(zip(done.stdout.split(end), done.stderr.split(end), strict=True))


def blocks_of(recipe: str) -> list[str]:
    return BLOCK.findall((RECIPES / recipe).read_text())


def test_clusters(environment: dict[str, str], tmp_path: Path) -> None:
    printed = run(blocks_of("clusters.md"), environment, tmp_path)
    table = printed[1][0]
    assert re.search(r"api: \d+ rows in 5 clusters", table)
    # What the package is about stands out among its words.
    assert any(word in table for word in ("header", "charset", "attachment", "address"))
    assert "(5 rows)" in printed[2][0]
    assert "(3 rows)" in printed[3][0]
    assert "(1 row)" in printed[4][0]


def test_map(environment: dict[str, str], tmp_path: Path) -> None:
    printed = run(blocks_of("map.md"), environment, tmp_path)
    assert re.search(r"\d+ rows are placed in api_map; map.html shows all of them", printed[0][1])
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        (tmp_path / "api.html").read_text(),
        re.DOTALL,
    )
    assert found is not None
    data = json.loads(found[1])
    assert len(data["keys"]) == len(data["texts"]) > 100
    assert [coloring["name"] for coloring in data["colors"]] == ["cluster"]
    with Image.open(tmp_path / "api.png") as picture:
        assert picture.format == "PNG"
    assert "(3 rows)" in printed[3][0]


def test_ask(environment: dict[str, str], tmp_path: Path) -> None:
    """All but the block that needs the weights of a language model."""
    blocks = [block for block in blocks_of("ask.md") if "--local" not in block]
    printed = [output for output, _ in run(blocks, environment, tmp_path)]
    assert "[1] The backups of the database run every night" in printed[1]
    assert printed[1].rstrip().endswith("Question: How long are backups kept?")
    assert "[1] The backups of the database run every night" in printed[2]
    assert "exit code 1" in printed[3]


@pytest.mark.models
def test_ask_a_local_model(environment: dict[str, str], tmp_path: Path) -> None:
    folder = os.environ.get("ROWVEC_TEST_MODELS")
    weights = sorted(Path(folder or "").glob("smollm2/model/*.gguf")) if folder else []
    if not weights:
        pytest.skip("ROWVEC_TEST_MODELS has no smollm2")
    (tmp_path / "SmolLM2-135M-Instruct.gguf").symlink_to(weights[0])
    printed = run(blocks_of("ask.md"), environment, tmp_path)
    answer, said = printed[3]
    assert "thirty days" in answer.lower(), answer + said
    assert "exit code 1" in printed[4][0]


def test_score(environment: dict[str, str], tmp_path: Path) -> None:
    printed = [output for output, _ in run(blocks_of("score.md"), environment, tmp_path)]
    assert "The mason lifted the wet stone" in printed[0]
    lines = [line for line in printed[1].splitlines() if line.startswith("{")]
    scored = [json.loads(line) for line in lines]
    assert len(scored) == 4
    stone, justice, bread, theory = (one["score"] for one in scored)
    assert max(stone, bread) < min(justice, theory), "concrete sentences stand nearer to stone"
    assert (tmp_path / "essay.html").read_text().count('class="b"') >= 1


def random_clip(folder: Path) -> None:
    """A small CLIP as transformers saves it."""
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    for letter in string.ascii_lowercase + string.digits + string.punctuation:
        for token in (letter, letter + "</w>"):
            vocabulary.setdefault(token, len(vocabulary))
    tokenizer = CLIPTokenizerFast(vocab=vocabulary, merges=[], model_max_length=32)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=32, bos_token_id=0, eos_token_id=1,
        pad_token_id=1, projection_dim=24,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=32, patch_size=8, projection_dim=24,
    )  # fmt: skip
    torch.manual_seed(4)
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=24
    )
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    CLIPProcessor(images, tokenizer).save_pretrained(folder)


def test_images(environment: dict[str, str], tmp_path: Path) -> None:
    random_clip(tmp_path / "clip")
    photos = tmp_path / "photos"
    photos.mkdir()
    for colour in ("red", "blue", "green", "yellow"):
        picture = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(picture).rectangle((16, 16, 48, 48), fill=colour)
        picture.save(photos / f"{colour}.png")
    shutil.copy(photos / "red.png", photos / "same.png")
    printed = [output for output, _ in run(blocks_of("images.md"), environment, tmp_path)]
    assert "pictures: made, 5 rows loaded" in printed[1]
    searched, similar, image = re.split(r"(?=┏)", printed[2])[1:]
    assert len(re.findall(r"\w+\.png ", searched)) >= 3
    # With random weights nothing is known of the others; the same picture is as near as can be.
    assert re.search(r"same\.png +│ -?0\.0000", similar)
    assert re.search(r"blue\.png +│ -?0\.0000", image)
    assert re.search(r"same\.png +│ -?0\.0000", printed[3])
