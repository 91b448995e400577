"""docs/recipes/ray.md up to the cluster, which test_backfill_crew.py has with several nodes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "ray.md"
BLOCKS = re.findall(
    r"^```sh\n(.*?)^```$", RECIPE.read_text().split("## 3.")[0], re.MULTILINE | re.DOTALL
)
MODELS = """
[[model]]
name = "stand-in-small"
kind = "stand-in"
dimensions = 8
max_tokens = 16
"""


@pytest.fixture
def shell(database: Any, tmp_path: Path) -> Iterator[Any]:
    """Runs a line as somebody types it; what is installed is not installed again."""
    short = tempfile.mkdtemp(prefix="ray-")
    (tmp_path / "models.toml").write_text(MODELS)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG", "RAY_"))}
    environment = {
        **clean,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}",
        "ROWVEC_DSN": database.dsn,
        "ROWVEC_MODELS": str(tmp_path / "models.toml"),
        # A cluster that is no other test's; its sockets need a short path.
        "RAY_TMPDIR": short,
    }

    def run(line: str) -> subprocess.CompletedProcess[str]:
        if line.startswith("pip install"):
            line = "true"
        return subprocess.run(
            ["/bin/sh", "-c", line], env=environment, check=False,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=250,
        )  # fmt: skip

    yield run
    end_processes_of(short)
    shutil.rmtree(short, ignore_errors=True)


def end_processes_of(folder: str) -> None:
    """Ends what has the folder of a cluster on its command line."""
    found = [
        p for p in psutil.process_iter(["cmdline"]) if folder in " ".join(p.info["cmdline"] or [])
    ]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=30)


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.timeout(600)
def test_every_command(database: Any, shell: Any) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO reviews SELECT i, 't ' || i FROM generate_series(1, 900) i")
        connection.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body')")
        filled = []
        for line in "".join(BLOCKS).splitlines():
            done = shell(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            row = connection.execute("SELECT count(embedding) FROM reviews").fetchone()
            assert row is not None
            filled.append((line.split()[:2], row[0]))
        backfills = [count for words, count in filled if words == ["rowvec", "backfill"]]
        assert backfills == [200, 400]
