"""docs/recipes/ray.md on one machine; test_ray.py has clusters of several nodes."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from support.places import ROWVEC, blocks_of, clean_environment
from support.postgres import Database
from support.skips import missing

MODELS = """
[[model]]
name = "stand-in-small"
kind = "stand-in"
dimensions = 8
max_tokens = 16
"""


@dataclass
class Shell:
    """Runs lines as somebody types them, in a home and on a cluster that are no other test's."""

    environment: dict[str, str]
    port: str

    def __call__(self, line: str) -> subprocess.CompletedProcess[str]:
        """What is installed is not installed again, and `ray stop` would end others' clusters."""
        word, _, rest = line.partition(" ")
        if word == "export":
            name, _, value = rest.partition("=")
            self.environment[name] = value
        if word in ("export", "pip") or line == "ray stop":
            line = "true"
        return subprocess.run(
            ["/bin/sh", "-c", line.replace("6399", self.port)], env=self.environment, check=False,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=250,
        )  # fmt: skip


@pytest.fixture
def shell(database: Database, tmp_path: Path) -> Iterator[Shell]:
    # Ray's sockets need a short path.
    short = tempfile.mkdtemp(prefix="ray-")
    (tmp_path / "models.toml").write_text(MODELS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    yield Shell(
        clean_environment(
            PATH=f"{ROWVEC.parent}{os.pathsep}{os.environ['PATH']}",
            HOME=short,
            ROWVEC_DSN=database.dsn,
            ROWVEC_MODELS=str(tmp_path / "models.toml"),
            RAY_TMPDIR=short,
        ),
        port,
    )
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


@pytest.mark.timeout(900)
def test_every_command(database: Database, shell: Shell) -> None:
    if find_spec("ray") is None:
        missing("ray", "ray is not installed")
    with database.connect() as connection:
        connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO reviews SELECT i, 't ' || i FROM generate_series(1, 900) i")
        connection.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body')")
        filled = []
        for line in "".join(text for _, text in blocks_of("ray.md", "sh")).splitlines():
            if "--address" in line:
                assert_refused_without_a_token(line, shell)
            done = shell(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            row = connection.execute("SELECT count(embedding) FROM reviews").fetchone()
            assert row is not None
            filled.append((line.split()[:2], row[0]))
        backfills = [count for words, count in filled if words == ["rowvec", "backfill"]]
        assert backfills == [200, 400, 900]


def assert_refused_without_a_token(line: str, shell: Shell) -> None:
    """Nor with another."""
    for more in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "another"}):
        done = Shell({**shell.environment, **more}, shell.port)(line)
        assert done.returncode == 2
        assert "no Ray cluster that lets us in" in done.stderr
        assert "Traceback" not in done.stderr
