"""The wheel: it holds all and only what it should, and works away from the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import psycopg
import pytest

from support.postgres import Database

ROOT = Path(__file__).parents[2]
SOURCES = (
    ".gitattributes", ".git_archival.txt", "pyproject.toml", "README.md", "LICENSE", "src", "sql",
    "jobs", "migrations",
)  # fmt: skip
GIT = shutil.which("git") or "git"


def copy_sources(copy: Path) -> None:
    """What a distribution is made from, without the repository's history."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy / name)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the tool a release is built with, in a copy that holds git-ignored files too."""
    copy = tmp_path_factory.mktemp("source")
    copy_sources(copy)
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


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources in a repository whose last commit is a release."""
    repository = tmp_path_factory.mktemp("repository")
    copy_sources(repository)
    author = ("-c", "user.name=someone", "-c", "user.email=someone@example.com")
    for command in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "all"),
                    ("tag", "v3.2.1")):  # fmt: skip
        subprocess.run([GIT, *command], cwd=repository, check=True, timeout=100)
    return repository


def version_of(folder: Path, **environment: str) -> str:
    """The version that a wheel built in a folder has."""
    code = (
        "import sys; from setuptools.build_meta import *;"
        " print(prepare_metadata_for_build_wheel(sys.argv[1]))"
    )
    with tempfile.TemporaryDirectory() as metadata:
        said = subprocess.run(
            [sys.executable, "-c", code, metadata], cwd=folder, env={**os.environ, **environment},
            check=True, capture_output=True, text=True, timeout=100,
        ).stdout  # fmt: skip
        text = Path(metadata, said.splitlines()[-1], "METADATA").read_text()
    return str(Parser().parsestr(text)["Version"])


def test_its_version_is_the_tag(tagged: Path) -> None:
    assert version_of(tagged) == "3.2.1"


@pytest.mark.parametrize("kind", ["sdist", "archive"])
def test_what_is_packed_keeps_the_version(tagged: Path, tmp_path: Path, kind: str) -> None:
    """An sdist from the index, and the archive of a tag that a forge offers."""
    command: dict[str, list[str | Path]] = {
        "sdist": [sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", tmp_path, "."],
        "archive": [GIT, "archive", "--prefix=source/", "-o", tmp_path / "a.tar.gz", "v3.2.1"],
    }
    subprocess.run(command[kind], cwd=tagged, check=True, capture_output=True, timeout=100)
    (packed,) = tmp_path.iterdir()
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (entry for entry in tmp_path.iterdir() if entry.is_dir())
    assert version_of(unpacked) == "3.2.1"


def test_a_copy_without_history_has_the_version_that_it_is_given(tmp_path: Path) -> None:
    """As in the Dockerfile; without one it claims to be no release."""
    copy = tmp_path / "source"
    copy.mkdir()
    copy_sources(copy)
    assert version_of(copy) == "0.0.0"
    (variable,) = re.findall(r"(\w+)=\$ROWVEC_VERSION", (ROOT / "Dockerfile").read_text())
    assert version_of(copy, **{variable: ""}) == "0.0.0"
    assert version_of(copy, **{variable: "3.2.1"}) == "3.2.1"
