"""docs/recipes/load.md and code-search.md, command by command, from no database to the answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    }  # fmt: skip
    yield environment
    subprocess.run(["rowvec", "down"], env=environment, capture_output=True, check=False)  # noqa: S607


def run(recipe: str, environment: dict[str, str], folder: Path) -> list[tuple[str, str]]:
    """What each block printed to stdout and stderr, within one shell that keeps its variables."""
    blocks = BLOCK.findall((RECIPES / recipe).read_text())
    end = "--- end of a block ---"
    script = "".join(f"{block}\necho '{end}'; echo '{end}' >&2\n" for block in blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607
        cwd=folder, env=environment, capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return list(zip(done.stdout.split(end), done.stderr.split(end), strict=True))


def test_load(environment: dict[str, str], tmp_path: Path) -> None:
    printed = run("load.md", environment, tmp_path)
    outputs = [output for output, _ in printed]
    assert "statuses: made, 62 rows loaded" in outputs[0]
    assert re.search(r"code +bigint", outputs[0])
    assert re.search(r"│ 429 ", outputs[1]), outputs[1]
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


def test_code_search(environment: dict[str, str], tmp_path: Path) -> None:
    outputs = [output for output, _ in run("code-search.md", environment, tmp_path)]
    assert "is_multipart" in outputs[0]
    assert "api: 0 rows loaded" in outputs[1]
    assert outputs[1].count('"key":') == 3
    assert "quoprimime.py" in outputs[2]
    base64, *similar = outputs[3].split()
    assert len(base64) == 2048
    assert "as_bytes" in " ".join(similar)
