"""One instance for all recipes that start one, and somebody who pastes what a page says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from support.places import ROWVEC, blocks_of, clean_environment
from support.waiting import WAIT_SECONDS

_END = "--- end of a block ---"

# The instance goes on for the recipes that follow; that `down` stops one has a test of its own.
_LAST_LINE = re.compile(r"^rowvec down\n", re.MULTILINE)


@dataclass(frozen=True)
class Reader:
    """Pastes blocks into one shell, in a folder of the test's own."""

    environment: dict[str, str]
    folder: Path
    dsn: str

    def paste(self, *blocks: str) -> list[tuple[str, str]]:
        """What each block printed to stdout and stderr; the shell keeps its variables."""
        script = "".join(f"{block}\necho '{_END}'; echo '{_END}' >&2\n" for block in blocks)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=5 * WAIT_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return list(zip(done.stdout.split(_END), done.stderr.split(_END), strict=True))

    def shell(self, recipe: str, *, without: str = "nothing") -> list[tuple[str, str]]:
        """What the blocks of a recipe in sh printed; `without` is in those to leave out."""
        blocks = [
            _LAST_LINE.sub("", text)
            for language, text in blocks_of(recipe)
            if language == "sh" and without not in text
        ]
        return self.paste(*blocks)

    def sql(self, statements: str) -> list[tuple[Any, ...]]:
        """The rows of the last statement."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statements.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def read(self, recipe: str) -> list[Any]:
        """The results of all blocks: what sh printed to stdout, and the rows of SQL."""
        return [
            self.paste(text)[0][0] if language == "sh" else self.sql(text)
            for language, text in blocks_of(recipe)
        ]


@pytest.fixture(scope="session")
def _instance(folder: Path, model_cache: Path) -> Iterator[dict[str, str]]:
    """The environment of commands that work on a running instance."""
    environment = clean_environment(
        PATH=f"{ROWVEC.parent}{os.pathsep}{os.environ['PATH']}",
        ROWVEC_DATA=str(folder / "instance"),
        ROWVEC_CACHE_DIR=str(model_cache),
        # Two threads that share a busy core spend their time waiting for each other.
        ROWVEC_THREADS="1",
        COLUMNS="200",
        PAGER="cat",
    )
    subprocess.run([ROWVEC, "up"], env=environment, capture_output=True, check=True)
    yield environment
    subprocess.run([ROWVEC, "down"], env=environment, capture_output=True, check=True)


@pytest.fixture
def reader(_instance: dict[str, str], tmp_path: Path) -> Reader:
    """A reader whose database has no table yet."""
    reader = Reader(
        _instance, tmp_path, f"postgresql://postgres@/rowvec?host={_instance['ROWVEC_DATA']}/run"
    )
    with psycopg.connect(reader.dsn, autocommit=True) as connection:
        left = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (name,) in left:
            connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(name)))
        connection.execute(
            "SELECT rowvec.drop_embedding(source::oid::regclass, name) FROM rowvec.embedding"
        )
    return reader
