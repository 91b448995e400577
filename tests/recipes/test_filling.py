"""docs/recipes/keep-filled.md and long-documents.md, block by block, on an instance."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.waiting import eventually

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
BLOCK = re.compile(r"^```(sh|sql)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAIT_SECONDS = 200

pytestmark = pytest.mark.timeout(600)


class Reader:
    """Somebody who pastes what the page says."""

    def __init__(self, data: Path) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
        self._environment = {**clean, "PATH": path, "ROWVEC_DATA": str(data)}
        self.dsn = f"postgresql://postgres@/rowvec?host={data}/run"

    def shell(self, commands: str) -> str:
        """What the commands print."""
        done = subprocess.run(
            ["bash", "-ec", commands],  # noqa: S607
            env=self._environment, capture_output=True, text=True, check=False, cwd="/",
            timeout=WAIT_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sql(self, statements: str) -> list[tuple[Any, ...]]:
        """The rows of the last statement."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statements.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def read(self, page: str) -> list[Any]:
        """The results of all blocks of a page."""
        text = (RECIPES / page).read_text()
        return [
            self.shell(block) if language == "sh" else self.sql(block)
            for language, block in BLOCK.findall(text)
        ]


@pytest.fixture(scope="module")
def reader(folder: Path) -> Iterator[Reader]:
    data = folder / "filling"
    reader = Reader(data)
    reader.shell("rowvec up")
    yield reader
    reader.shell("rowvec down")


def test_long_documents(reader: Reader) -> None:
    results = reader.read("long-documents.md")
    listings = [r for r in results if isinstance(r, str) and ("Minutes" in r or "to its end" in r)]
    assert len(listings) == 2
    assert "Minutes" in listings[0]
    assert listings[1].startswith("Every text was read to its end")
    *_, passages, exact, found, asked = [r for r in results if isinstance(r, list)]
    assert [row[1] for row in passages] == [1, 2, 3, 1, 2, 3]
    assert exact == [(True,)]
    assert found[0][:2] == (1, "Returns")
    assert "Refunds" in found[0][2]
    assert "hotels" in asked[0][0]


def test_keep_filled(reader: Reader) -> None:
    reader.read("keep-filled.md")
    # The last block has stopped the sync; what came before may have been left to it.
    reader.shell("rowvec up")
    current = "SELECT bool_and(embedding_of = hashtextextended(body, 0)) FROM notes"
    eventually(lambda: reader.sql(current) == [(True,)], seconds=WAIT_SECONDS)
    reader.sql("INSERT INTO notes (body) VALUES ('One more.')")
    eventually(lambda: reader.sql(current) == [(True,)], seconds=WAIT_SECONDS)
