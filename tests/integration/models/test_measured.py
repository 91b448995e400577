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

ROWVEC = Path(sys.executable).parent / "rowvec"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROWVEC, "models", "test", *map(str, words)],
        capture_output=True, text=True, check=False, timeout=110,
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
    for figures in measured["figures"].values():
        assert figures["short_ms"] > 0
        assert figures["texts_per_second"] > 0
        assert figures["cosine"] >= 0.9999
    chosen = measured["backend"]
    assert chosen in measured["figures"]
    kept = json.loads((cache / "backends.json").read_text())
    assert kept["small"]["backend"] == chosen

    specs = read_listing(listed).specs
    assert measured_backends(cache, specs, measured["threads"]) == {"small": chosen}


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
