"""Backends and types of numbers that requests ask for."""

from __future__ import annotations

import pytest

from rowvec.errors import InvalidRequest, NotSupported, RowvecError
from rowvec.models.backends import variant
from rowvec.models.backends.variant import AUTOMATIC, BACKENDS, Variant, resolve_variant


def resolve(
    backend: object, dtype: object, *, own: str = "float32", offered: tuple[str, ...] = BACKENDS
) -> Variant:
    return resolve_variant(backend, dtype, own=own, offered=offered, model="m")  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant, "installed", lambda: BACKENDS)


@pytest.mark.parametrize(
    ("backend", "dtype", "expected"),
    [
        (None, None, AUTOMATIC),
        (None, "float32", AUTOMATIC),
        ("onnx", None, Variant("onnx")),
        ("onnx", "float32", Variant("onnx")),
        ("torch", "bfloat16", Variant("torch", "bfloat16")),
        (None, "float16", Variant("torch", "float16")),
        (None, "bfloat16", Variant("openvino", "bfloat16")),
        (None, "int8", Variant("onnx", "int8")),
    ],
)
def test_what_means_the_same_is_the_same_variant(
    backend: str | None, dtype: str | None, expected: Variant
) -> None:
    assert resolve(backend, dtype) == expected


def test_the_type_of_the_weights_is_no_other_type() -> None:
    assert resolve(None, "bfloat16", own="bfloat16") == AUTOMATIC
    assert resolve(None, "float32", own="bfloat16") == Variant(None, "float32")


@pytest.mark.parametrize(
    ("backend", "dtype", "error", "message"),
    [
        ("tensorrt", None, InvalidRequest, "backend must be one of torch, onnx, openvino"),
        (3, None, InvalidRequest, "backend must be one of"),
        (None, "float8", InvalidRequest, "dtype must be one of float32, float16, bfloat16, int8"),
        ("torch", "int8", NotSupported, "torch does not compute in int8"),
        ("onnx", "bfloat16", NotSupported, "onnx does not compute in bfloat16"),
    ],
)
def test_a_refusal_is_one_sentence(
    backend: object, dtype: object, error: type[RowvecError], message: str
) -> None:
    with pytest.raises(error, match=message):
        resolve(backend, dtype)


def test_a_model_without_a_choice_says_so() -> None:
    with pytest.raises(NotSupported, match="m is of a kind that has no choice of backend"):
        resolve("torch", None, offered=())
    with pytest.raises(NotSupported, match="m is computed by torch, not by onnx"):
        resolve("onnx", None, offered=("torch",))


def test_what_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant, "installed", lambda: ("torch",))
    with pytest.raises(NotSupported, match="the backend onnx is not installed") as raised:
        resolve("onnx", None)
    assert raised.value.hint == "pip install 'rowvec[fast]' there"
    assert resolve(None, "bfloat16") == Variant("torch", "bfloat16")
    with pytest.raises(NotSupported, match="no backend beside the worker computes m in int8"):
        resolve(None, "int8")
