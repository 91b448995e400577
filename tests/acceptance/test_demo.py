"""`rowvec demo` on a part of the library, with the real model; twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from rowvec import demo as library
from rowvec.embedded.instance import Instance
from support.demo import run, tables
from support.places import ROWVEC

MODULES = ("argparse", "difflib", "optparse", "shutil", "tempfile")


@dataclass
class Demo:
    """A first run and what it left."""

    home: Path
    output: str

    @property
    def dsn(self) -> str:
        return Instance(self.home).dsn

    def versions(self) -> list[tuple[object, ...]]:
        """Which versions of the rows there are: any write makes another."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute("SELECT id, xmin FROM python_api ORDER BY id").fetchall()


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[Demo]:
    home = folder / "demo"
    chosen = [word for module in MODULES for word in ("--module", module)]
    done = run("demo", "--data", home, *chosen)
    yield Demo(home, done.stdout)
    run("down", "--data", home)
    assert done.returncode == 0, done.stderr


def test_the_searches_find_what_they_should(demo: Demo) -> None:
    arguments, directory, strings = tables(demo.output)
    assert "argparse.ArgumentParser" in arguments
    assert "tempfile.TemporaryDirectory" in directory.splitlines()[0]
    assert "difflib." in strings.splitlines()[0]


def test_the_sql_is_shown_and_runs_as_shown(demo: Demo) -> None:
    shown = " ".join(demo.output.split())
    with psycopg.connect(demo.dsn, autocommit=True) as connection:
        for statement in (*library.searches(), *library.to_try()):
            assert " ".join(statement.split()) in shown
            rows = connection.execute(statement.encode()).fetchall()
            # The filter of one of them names a module that is left out here.
            assert rows or "asyncio" in statement or "copytree" in statement


def test_it_says_how_to_go_on(demo: Demo) -> None:
    for name in ("psql", "down"):
        (line,) = (x.strip() for x in demo.output.splitlines() if f"rowvec {name} " in x)
        program, *arguments = line.split()
        assert Path("/", program).resolve() == ROWVEC.resolve()
        assert arguments == [name, "--data", str(demo.home)]


def test_everything_is_embedded_and_indexed(demo: Demo) -> None:
    with psycopg.connect(demo.dsn) as connection:
        row = connection.execute(
            "SELECT rows, pending, failed, probes > 0, recall >= 0.9 FROM rowvec.status"
        ).fetchone()
    assert row == (len(library.entries(MODULES)), 0, 0, True, True)


def test_a_second_run_reuses_what_is_there(demo: Demo) -> None:
    before = demo.versions()
    done = run("demo", "--data", demo.home)
    assert done.returncode == 0, done.stderr
    assert demo.versions() == before
    assert len(tables(done.stdout)) == 3
    assert tables(done.stdout) == tables(demo.output)
    assert "Embedding" not in done.stderr
    assert "Building" not in done.stderr
