"""The documentation site: no link is dead, and what the code has is in its reference."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rowvec.cli import COMMANDS
from rowvec.config import PREFIX, Settings
from rowvec.db.queries import sql_files
from support.places import ROOT
from support.skips import missing


def build(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", config, "--site-dir", folder],
        capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        missing("docs", "the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_and_found_by_the_search(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    for page in (ROOT / "docs").rglob("*.md"):
        inside = page.relative_to(ROOT / "docs").with_suffix("")
        # Either is the page of its folder.
        address = inside.parent if inside.name in {"index", "README"} else inside
        assert f"{address.as_posix()}/" in found


def test_the_pages_ask_no_other_host_for_fonts_or_scripts(site: Path) -> None:
    text = (site / "index.html").read_text()
    assert "fonts.g" not in text
    assert '<script src="http' not in text


def test_the_reference_has_what_the_code_has(site: Path) -> None:
    def page(name: str) -> str:
        return (site / "reference" / name / "index.html").read_text()

    functions = [
        path.removeprefix("functions/").removesuffix(".sql") for path in sql_files("functions")
    ]
    public = [name for name in functions if not name.startswith("_")]
    assert len(public) > 30
    assert [name for name in public if f'id="{name}"' not in page("sql")] == []
    assert [name for name in COMMANDS if f'id="rowvec-{name}"' not in page("commands")] == []
    settings = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    assert [name for name in settings if name not in page("settings")] == []
    assert "rowvec_model_texts_total" in page("metrics")
    assert "query_prompt" in page("models-toml")
    assert "53400" in page("errors")


@pytest.mark.usefixtures("site")
def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A page\n\n[nowhere](none.md)\n")
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nhooks: []\n")
    done = build(config, tmp_path / "site")
    assert done.returncode == 1
    assert "none.md" in done.stderr
