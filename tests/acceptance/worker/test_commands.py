"""The commands that talk to a worker: embed, models, worker --ping."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from rowvec.models.families.stand_in import derived_vector
from support.commands import Rowvec
from support.workers import Worker


def test_embed_prints_a_vector_a_text(worker: Worker, rowvec: Rowvec) -> None:
    done = rowvec("embed", "-m", "stand-in-small", "one", "two", ROWVEC_WORKER=worker.conninfo)
    assert done.returncode == 0, done.stderr
    vectors = [np.array(json.loads(line), dtype=np.float32) for line in done.stdout.splitlines()]
    assert len(vectors) == 2
    for text, vector in zip(("one", "two"), vectors, strict=True):
        assert (vector == derived_vector(text, 8)).all()


def test_embed_as_json_names_the_text(worker: Worker, rowvec: Rowvec) -> None:
    done = rowvec("embed", "-m", "stand-in-small", "--json", "x", ROWVEC_WORKER=worker.conninfo)
    row = json.loads(done.stdout)
    assert row["text"] == "x"
    assert len(row["embedding"]) == 8


def test_models_lists_what_is_served(worker: Worker, rowvec: Rowvec) -> None:
    done = rowvec("models", "--json", "--worker", worker.conninfo)
    assert "stand-in-small" in {model["name"] for model in json.loads(done.stdout)}
    table = rowvec("models", "--worker", worker.conninfo)
    assert table.returncode == 0
    assert "stand-in-small" in table.stdout
    (minilm,) = (line for line in table.stdout.splitlines() if "all-MiniLM-L6-v2" in line)
    assert re.search(r" 53aa51172d14 +(yes|no)\b", minilm)


def test_ping_says_whether_a_worker_is_there(worker: Worker, rowvec: Rowvec, tmp_path: Any) -> None:
    password = str(worker.password_file)
    there = rowvec("worker", "--ping", "--listen", str(worker.folder), "--password-file", password)
    assert there.returncode == 0, there.stderr
    nobody = rowvec("worker", "--ping", "--listen", str(tmp_path), "--password-file", password)
    assert nobody.returncode == 1
    assert "no worker answers" in nobody.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--listen", "nowhere"), 2, "cannot listen on 'nowhere'"),
        (("--models", "/nonexistent.toml"), 2, "/nonexistent.toml"),
        (("--password-file", "/nonexistent"), 2, "/nonexistent"),
        (("--tls-required",), 2, "tls_cert_file"),
        (("--device", "cuda:7"), 2, "torch sees no device cuda:7 here"),
    ],
)
def test_a_worker_that_cannot_start_says_why(
    worker: Worker, rowvec: Rowvec, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = rowvec(
        "worker",
        *arguments,
        ROWVEC_LISTEN="127.0.0.1:0",
        ROWVEC_MODELS=str(worker.models_file),
        ROWVEC_PASSWORD_FILE=str(worker.password_file),
    )
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_two_workers_cannot_have_one_socket(worker: Worker, rowvec: Rowvec) -> None:
    done = rowvec(
        "worker", "--listen", str(worker.folder), "--models", str(worker.models_file),
        "--password-file", str(worker.password_file),
    )  # fmt: skip
    assert done.returncode == 2
    assert "another worker listens there" in done.stderr
