"""`rowvec models test`: what it prints, and what it leaves for the worker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.models.listing import read_listing
from rowvec.models.measurements import measured_backends

# Six ways to compute are loaded, two of them exported first.
pytestmark = pytest.mark.timeout(600)

ROWVEC = Path(sys.executable).parent / "rowvec"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # One thread: two of them wait for each other where a machine is busy.
        [ROWVEC, "models", "test", "--threads", "1", *map(str, words)],
        capture_output=True, text=True, check=False, timeout=580,
    )  # fmt: skip


@pytest.fixture
def listed(tmp_path: Path, bert_folder: Callable[..., Path]) -> Path:
    modules = [Transformer(str(bert_folder())), Pooling(32, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path / "small"))
    path = tmp_path / "models.toml"
    path.write_text(
        '[[model]]\nname = "small"\nkind = "sentence-transformers"\npath = "small"\n'
        '[[model]]\nname = "stand-in"\nkind = "stand-in"\ndimensions = 8\n'
    )
    return path


def test_the_fastest_backend_is_remembered(listed: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run("small", "--models", listed, "--cache-dir", cache, "--json")
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert (measured["dimensions"], measured["failed"]) == (32, {})
    assert "torch" in measured["figures"]
    for figures in measured["figures"].values():
        assert figures["short_ms"] > 0
        assert figures["texts_per_second"] > 0
        assert figures["cosine"] >= 0.9999
        assert figures["bulk_cosine"] >= 0.9999
    chosen = measured["backend"]
    assert chosen in measured["figures"]
    kept = json.loads((cache / "backends.json").read_text())
    assert kept["small"]["backend"] == chosen

    specs = read_listing(listed).specs
    assert measured_backends(cache, specs, measured["threads"]) == {"small": chosen}


def test_types_of_fewer_bits_are_measured_and_never_chosen(listed: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run("small", "--models", listed, "--cache-dir", cache, "--dtypes", "--json")
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    asked = {"torch bfloat16", "openvino bfloat16", "onnx int8"}
    assert set(measured["figures"]) == asked | {"torch", "onnx", "openvino"}
    for name in asked:
        # A processor without bfloat16 may compute it as float32.
        assert 0.8 < measured["figures"][name]["bulk_cosine"] <= 1
    assert measured["figures"]["onnx int8"]["cosine"] < 0.99999
    assert measured["backend"] not in asked


def test_a_model_without_a_choice_is_measured_all_the_same(listed: Path, tmp_path: Path) -> None:
    done = run("stand-in", "--models", listed, "--cache-dir", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "8 dimensions" in done.stdout
    assert "chosen" not in done.stdout
    assert not (tmp_path / "cache" / "backends.json").exists()


def test_an_unlisted_model_is_one_sentence(listed: Path) -> None:
    done = run("nobody", "--models", listed)
    assert done.returncode == 1
    assert "has no 'nobody'" in done.stderr
    assert "listed: small, stand-in" in done.stderr
