"""`rowvec models test`: what it prints, and what it leaves for the worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.models.listing import read_listing
from rowvec.models.measurements import measured_backends
from support.commands import Completed, Rowvec
from support.tiny_models import save

# Six ways to compute are loaded, two of them exported first.
pytestmark = pytest.mark.timeout(600)

Measure = Callable[..., Completed]


@pytest.fixture
def run(rowvec: Rowvec) -> Measure:
    # One thread: two of them wait for each other where a machine is busy.
    return partial(rowvec, "models", "test", "--threads", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, bert_folder: Callable[..., Path]) -> Path:
    """A list of models, and the cache that keeps what was exported and measured."""
    home = tmp_path_factory.mktemp("measured")
    save(home / "small", Transformer(str(bert_folder())), Pooling(32, "mean"), Normalize())
    (home / "models.toml").write_text(
        '[[model]]\nname = "small"\nkind = "sentence-transformers"\npath = "small"\n'
        '[[model]]\nname = "stand-in"\nkind = "stand-in"\ndimensions = 8\n'
    )
    return home


@pytest.fixture
def listed(home: Path) -> Path:
    return home / "models.toml"


@pytest.fixture
def cache(home: Path) -> Path:
    """The cache, without figures."""
    cache = home / "cache"
    (cache / "backends.json").unlink(missing_ok=True)
    return cache


def test_the_fastest_backend_is_remembered(run: Measure, listed: Path, cache: Path) -> None:
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


def test_types_of_fewer_bits_are_measured_and_never_chosen(
    run: Measure, listed: Path, cache: Path
) -> None:
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


def test_a_model_without_a_choice_is_measured_all_the_same(
    run: Measure, listed: Path, cache: Path
) -> None:
    done = run("stand-in", "--models", listed, "--cache-dir", cache)
    assert done.returncode == 0, done.stderr
    assert "8 dimensions" in done.stdout
    assert "chosen" not in done.stdout
    assert not (cache / "backends.json").exists()


def test_an_unlisted_model_is_one_sentence(run: Measure, listed: Path) -> None:
    done = run("nobody", "--models", listed)
    assert done.returncode == 1
    assert "has no 'nobody'" in done.stderr
    assert "listed: small, stand-in" in done.stderr
