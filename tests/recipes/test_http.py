"""docs/recipes/http.md, command by command, on ports of the test's own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.places import RECIPES, ROWVEC, blocks_of, clean_environment
from support.waiting import eventually

BLOCKS = blocks_of("http.md", "sh", "python")

# The usual model's name and length; what it computes is tested elsewhere.
MODELS = """
[[model]]
name = "sentence-transformers/all-MiniLM-L6-v2"
aliases = ["all-MiniLM-L6-v2"]
kind = "stand-in"
dimensions = 384
warm = true
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def folder_of_commands(tmp_path: Path) -> Path:
    """Where somebody has a certificate for localhost."""
    subprocess.run(
        [shutil.which("openssl") or "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", "server.key", "-out", "server.crt", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The commands of this installation, and a worker that leaves the usual port alone."""
    models = tmp_path / "models.toml"
    models.write_text(MODELS)
    return clean_environment(
        PATH=f"{ROWVEC.parent}{os.pathsep}{os.environ['PATH']}",
        ROWVEC_LISTEN=str(tmp_path),
        ROWVEC_MODELS=str(models),
    )


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[[str], None]]:
    """Runs a block that starts a worker, instead of the one before, until it is ready."""
    running: list[subprocess.Popen[bytes]] = []

    def stop() -> None:
        for process in running:
            process.terminate()
            assert process.wait(timeout=60) == 0
        running.clear()

    def serve(block: str) -> None:
        stop()
        log = tmp_path / "log"
        # The shell becomes the worker, so that the signal reaches it.
        script = block.replace("\nrowvec worker", "\nexec rowvec worker")
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-ec", script],  # noqa: S607
                cwd=tmp_path, env=environment, stdout=output, stderr=output,
            )  # fmt: skip
        running.append(process)

        def loaded() -> bool:
            assert process.poll() is None, log.read_text()
            return "loaded " in log.read_text()

        eventually(loaded)

    yield serve
    stop()


def test_every_command_does_what_it_says(
    folder_of_commands: Path, environment: dict[str, str], serve: Callable[[str], None]
) -> None:
    port = str(free_port())
    printed = []
    for kind, text in BLOCKS:
        block = text.replace("8466", port)
        if "rowvec worker" in block:
            serve(block)
            continue
        command = [sys.executable, "-c"] if kind == "python" else ["bash", "-ec"]
        done = subprocess.run(
            [*command, block], cwd=folder_of_commands, env=environment,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        printed.append(done.stdout)
    assert '"object":"embedding"' in printed[0]
    assert "rowvec_queue_oldest_seconds" in printed[-1]


def test_every_metric_that_is_named_is_there(
    serve: Callable[[str], None], environment: dict[str, str]
) -> None:
    port = str(free_port())
    starting = next(text for _, text in BLOCKS if "rowvec worker" in text)
    serve(starting.replace("8466", port))
    asking = next(text for _, text in BLOCKS if "/v1/embeddings" in text)
    for command in (asking.replace("8466", port), f"curl -sf http://127.0.0.1:{port}/metrics"):
        done = subprocess.run(
            ["bash", "-ec", command],  # noqa: S607
            env=environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    named = set(re.findall(r"rowvec_[a-z_]+", (RECIPES / "http.md").read_text()))
    assert len(named) >= 10
    assert [name for name in sorted(named) if f"\n{name}" not in done.stdout] == []
