"""What was measured is used for what it was measured with, and for nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rowvec.cli.model_test import best
from rowvec.models import measurements
from rowvec.models.description import Description
from rowvec.models.families.stand_in import derived_vector
from rowvec.models.measure import SAMPLES, documents, neighbours
from rowvec.models.measurements import measured_backends, remember
from rowvec.models.spec import ModelSpec

SPEC = ModelSpec(Description("m", 8, 16), "sentence-transformers", sha256="a" * 64)


def test_a_measurement_is_found_again(tmp_path: Path) -> None:
    remember(tmp_path / "new", SPEC, 2, {"backend": "onnx"})
    remember(tmp_path / "new", replace(SPEC, description=Description("n", 8, 16)), 2,
             {"backend": "torch"})  # fmt: skip
    assert measured_backends(tmp_path / "new", [SPEC], 2) == {"m": "onnx"}


def test_other_weights_threads_or_packages_are_not_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(tmp_path, SPEC, 2, {"backend": "onnx"})
    assert measured_backends(tmp_path, [replace(SPEC, sha256="b" * 64)], 2) == {}
    assert measured_backends(tmp_path, [SPEC], 4) == {}
    monkeypatch.setattr(measurements, "_versions", lambda: {"torch": "99"})
    assert measured_backends(tmp_path, [SPEC], 2) == {}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"m": 3}', '{"m": {"backend": "abacus"}}'])
def test_a_file_that_says_nothing_useful_is_not_used(tmp_path: Path, content: str) -> None:
    (tmp_path / "backends.json").write_text(content)
    assert measured_backends(tmp_path, [SPEC], 2) == {}
    remember(tmp_path, SPEC, 2, {"backend": "torch"})
    assert json.loads((tmp_path / "backends.json").read_text())["m"]["backend"] == "torch"


def test_the_fastest_over_both_shapes_of_work_is_chosen() -> None:
    figures = {
        "torch": {"short_ms": 4.5, "texts_per_second": 100},
        "onnx": {"short_ms": 2.0, "texts_per_second": 90},
        "openvino": {"short_ms": 2.2, "texts_per_second": 98},
    }
    assert best(figures)[0] == "onnx"
    # Memory that grows is taken for a fifth of speed, and for no less.
    figures["openvino"] = {"short_ms": 2.0, "texts_per_second": 110}
    assert best(figures)[0] == "onnx"
    figures["openvino"] = {"short_ms": 1.5, "texts_per_second": 110}
    assert best(figures)[0] == "openvino"
    assert best({"torch": figures["torch"]}) == ("torch", "the only one that computes it here")


def test_documents_are_many_and_each_once() -> None:
    texts = documents(200)
    assert len(texts) == len(set(texts)) == 200
    assert all(texts)


def test_the_nearest_of_a_sample_is_another_one() -> None:
    found = neighbours([derived_vector(text, 64) for text in SAMPLES])
    assert [text for text, _, _ in found] == list(SAMPLES)
    assert all(text != nearest and -1 <= cosine <= 1 for text, nearest, cosine in found)
    assert neighbours([derived_vector("x", 1)] * 6) == []
