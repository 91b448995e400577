"""docs/recipes/own-model.md, word for word: the package is built, installed, listed and called."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.postgres import Database
from support.workers import StartWorker

RECIPE = Path(__file__).parents[3] / "docs" / "recipes" / "own-model.md"


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    """The recipe's code, in order: pyproject.toml, the module, the entry, the query."""
    return re.findall(r"```(?:toml|python|sql)\n(.*?)```", RECIPE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def site(blocks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package was installed into, with nothing fetched."""
    source = tmp_path_factory.mktemp("rowvec-letters")
    (source / "pyproject.toml").write_text(blocks[0])
    (source / "rowvec_letters.py").write_text(blocks[1])
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--disable-pip-version-check", "--target", target, source],
        check=True,
    )  # fmt: skip
    return target


@pytest.fixture
def worker(
    blocks: list[str], site: Path, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A worker that has the package, and the recipe's list."""
    monkeypatch.setenv("PYTHONPATH", str(site))
    return start_worker(blocks[2])


def test_the_recipe_works_in_sql(blocks: list[str], database: Database) -> None:
    with database.connect() as connection:
        assert value(connection, blocks[3]) == "[2,1,1]"
        with_prompt = "SELECT rowvec.embed('letters', 'a cab', '{\"prompt\": \"c\"}')"
        assert value(connection, with_prompt) == "[2,1,2]"
        listed = "SELECT kind || dimensions FROM rowvec.models() WHERE name = 'letters'"
        assert value(connection, listed) == "letters3"


def value(connection: psycopg.Connection, statement: str) -> object:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]
