"""docs/recipes/load.md and code-search.md, command by command, from no database to the answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.instance import Reader

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("instance")]


def test_load(reader: Reader, tmp_path: Path) -> None:
    printed = reader.shell("load.md")
    outputs = [output for output, _ in printed]
    assert "statuses: made, 62 rows loaded" in outputs[0]
    assert re.search(r"code +bigint", outputs[0])
    assert re.search(r"(?m)^429 ", outputs[1]), outputs[1]
    assert "statuses: 0 rows loaded, 62 unchanged" in outputs[2]
    seen, said = printed[3]
    assert "line 4 of seen.csv has 1 cells, its header 3; nothing was loaded" in " ".join(
        said.split()
    )
    assert "seen: made, 3 rows loaded, 1 left out" in seen
    assert re.search(r"day +date", seen)
    assert "house.md" in outputs[4]
    assert "bread.md" not in outputs[4]
    assert "posts: made, 2 rows loaded" in outputs[5]
    assert re.search(r"nearest to 503: \d{3}", outputs[6])
    assert len((tmp_path / "statuses.ndjson.jsonl").read_text().splitlines()) == 62


def test_code_search(reader: Reader) -> None:
    outputs = [output for output, _ in reader.shell("code-search.md")]
    assert "is_multipart" in outputs[0]
    assert "api: 0 rows loaded" in outputs[1]
    assert outputs[1].count('"key":') == 3
    assert "quoprimime.py" in outputs[2]
    base64, *similar = outputs[3].split()
    assert len(base64) == 2048
    assert "as_bytes" in " ".join(similar)
