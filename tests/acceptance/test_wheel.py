"""The wheel: it holds all and only what it should, and works away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import psycopg
import pytest

from support.postgres import Database

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src", "sql", "jobs", "migrations")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the tool a release is built with, in a copy that holds git-ignored files too."""
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy / name)
    for folder in ("src/rowvec", "sql", "jobs", "migrations"):
        (copy / folder / ".env").write_text("PASSWORD=s3cret")
        (copy / folder / "notes.txt").write_text("not for anybody")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", copy],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    (built,) = (copy / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`rowvec` in a fresh environment, which sees this one's dependencies but not its rowvec."""
    home = tmp_path_factory.mktemp("elsewhere")
    venv.create(home / "venv", with_pip=False)
    python = home / "venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index",
         "--no-warn-script-location", "--quiet", wheel],
        check=True, timeout=100,
    )  # fmt: skip
    # As a plain path: the .pth files there, that of the editable rowvec among them, are not read.
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    (Path(own) / "dependencies.pth").write_text("\n".join(sorted(paths)))
    return home / "venv" / "bin" / "rowvec"


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ROWVEC_"))}
    return subprocess.run(
        [program, *arguments],
        check=False, capture_output=True, text=True, timeout=100, cwd=cwd, env=environment,
    )  # fmt: skip


def test_it_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    folders = {"src/rowvec": "rowvec", "sql": "rowvec/sql", "jobs": "rowvec/jobs",
               "migrations": "rowvec/migrations"}  # fmt: skip
    suffixes = {".py", ".sql", ".mako", ".typed", ".css", ".html", ".js"}
    expected = {
        f"{target}/{file.relative_to(ROOT / source)}"
        for source, target in folders.items()
        for file in (ROOT / source).rglob("*")
        if file.suffix in suffixes or file.name in {"py.typed", "frozen.txt"}
    }
    assert names == expected
    for one in ("rowvec/sql/functions/embed.sql", "rowvec/jobs/backfill.py",
                "rowvec/migrations/versions/0001_catalog.py", "rowvec/py.typed"):  # fmt: skip
        assert one in names


def test_it_is_imported_from_where_it_was_installed(installed: Path, tmp_path: Path) -> None:
    code = "import rowvec, rowvec.sql, rowvec.jobs; print(rowvec.__file__, rowvec.sql.__file__)"
    said = run(installed.with_name("python"), "-c", code, cwd=tmp_path).stdout
    assert said.count(str(installed.parents[1])) == 2
    assert str(ROOT) not in said


def test_it_shows_its_help(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "backfill" in done.stdout


def test_it_migrates_a_database(installed: Path, empty_database: Database, tmp_path: Path) -> None:
    done = run(installed, "migrate", "--dsn", empty_database.dsn, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(empty_database.dsn) as connection:
        found = connection.execute("SELECT count(*) FROM rowvec.sql_object").fetchone()
    assert found is not None
    assert found[0] > 10
    again = run(installed, "migrate", "--dsn", empty_database.dsn, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
