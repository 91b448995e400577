"""docs/recipes/{clusters,map,ask,score,images}.md, command by command, from no database on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from support.instance import Reader
from support.models import RealModel
from support.tiny_models import save_clip

# They share the instance, and so a process of a parallel session.
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("instance")]


def test_clusters(reader: Reader) -> None:
    printed = reader.shell("cluster.md")
    table = printed[1][0]
    assert re.search(r"api: \d+ rows in 5 clusters", table)
    # What the package is about stands out among its words.
    assert any(word in table for word in ("header", "charset", "attachment", "address"))
    assert "(5 rows)" in printed[2][0]
    assert "(3 rows)" in printed[3][0]
    assert "(1 row)" in printed[4][0]


def test_map(reader: Reader, tmp_path: Path) -> None:
    printed = reader.shell("map.md")
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


def test_ask(reader: Reader) -> None:
    """All but the block that needs the weights of a language model."""
    printed = [output for output, _ in reader.shell("ask.md", without="--local")]
    assert "[1] The backups of the database run every night" in printed[1]
    assert printed[1].rstrip().endswith("Question: How long are backups kept?")
    assert "[1] The backups of the database run every night" in printed[2]
    assert "exit code 1" in printed[3]


@pytest.mark.models
def test_ask_a_local_model(reader: Reader, real_model: RealModel, tmp_path: Path) -> None:
    (weights,) = real_model("smollm2").glob("*.gguf")
    (tmp_path / "SmolLM2-135M-Instruct.gguf").symlink_to(weights)
    printed = reader.shell("ask.md")
    answer, said = printed[3]
    assert "thirty days" in answer.lower(), answer + said
    assert "exit code 1" in printed[4][0]


def test_score(reader: Reader, tmp_path: Path) -> None:
    printed = [output for output, _ in reader.shell("score.md")]
    assert "The mason lifted the wet stone" in printed[0]
    lines = [line for line in printed[1].splitlines() if line.startswith("{")]
    scored = [json.loads(line) for line in lines]
    assert len(scored) == 4
    stone, justice, bread, theory = (one["score"] for one in scored)
    assert max(stone, bread) < min(justice, theory), "concrete sentences stand nearer to stone"
    assert (tmp_path / "essay.html").read_text().count('class="b"') >= 1


def test_images(reader: Reader, tmp_path: Path) -> None:
    save_clip(tmp_path / "clip", max_tokens=32)
    photos = tmp_path / "photos"
    photos.mkdir()
    for colour in ("red", "blue", "green", "yellow"):
        picture = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(picture).rectangle((16, 16, 48, 48), fill=colour)
        picture.save(photos / f"{colour}.png")
    shutil.copy(photos / "red.png", photos / "same.png")
    printed = [output for output, _ in reader.shell("images.md")]
    assert "pictures: made, 5 rows loaded" in printed[1]
    searched, similar, image = re.split(r"(?m)(?=^key )", printed[2])[1:]
    assert len(re.findall(r"\w+\.png ", searched)) >= 3
    # With random weights nothing is known of the others; the same picture is as near as can be.
    assert re.search(r"same\.png +-?0\.0000", similar)
    assert re.search(r"blue\.png +-?0\.0000", image)
    assert re.search(r"same\.png +-?0\.0000", printed[3])
