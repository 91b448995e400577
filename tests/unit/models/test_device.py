"""Which device computes, and in which type: decided without one."""

from __future__ import annotations

import pytest

from rowvec.config import Settings
from rowvec.errors import ConfigError, NotSupported
from rowvec.models.backends.variant import AUTOMATIC, BACKENDS, Variant
from rowvec.models.description import Description
from rowvec.models.device import Seen, choose, computed_dtype, is_named, resolve_device
from rowvec.models.encoding import resolve

MODEL = Description("m", 8, 100, backends=BACKENDS)


@pytest.mark.parametrize(
    ("asked", "seen", "expected"),
    [
        ("auto", Seen(), "cpu"),
        ("auto", Seen(mps=True), "cpu"),
        ("auto", Seen(cuda=2), "cuda:0"),
        ("cpu", Seen(cuda=2), "cpu"),
        ("cuda", Seen(cuda=2), "cuda:0"),
        ("cuda:1", Seen(cuda=2), "cuda:1"),
        ("mps", Seen(mps=True), "mps"),
    ],
)
def test_the_device_asked_for_or_cuda_where_there_is_one(
    asked: str, seen: Seen, expected: str
) -> None:
    assert choose(asked, seen) == expected


@pytest.mark.parametrize(
    ("asked", "seen", "there"),
    [
        ("cuda", Seen(), "it sees cpu"),
        ("cuda:2", Seen(cuda=2), "it sees cpu, cuda:0, cuda:1"),
        ("mps", Seen(cuda=1), "it sees cpu, cuda:0"),
        ("cuda", Seen(mps=True), "it sees cpu, mps"),
    ],
)
def test_one_that_is_not_there_is_refused(asked: str, seen: Seen, there: str) -> None:
    with pytest.raises(ConfigError, match=f"torch sees no device {asked} here") as refused:
        choose(asked, seen)
    assert refused.value.hint == there


def test_torch_is_asked_only_where_its_answer_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rowvec.models.device._DRIVERS", ())
    monkeypatch.setattr("sys.executable", "/nowhere")
    assert (resolve_device("cpu"), resolve_device("auto")) == ("cpu", "cpu")


def test_other_names_are_no_devices() -> None:
    with pytest.raises(ConfigError, match="ROWVEC_DEVICE"):
        Settings.build(device="gpu")


@pytest.mark.parametrize(
    ("device", "stored", "expected"),
    [
        ("cpu", "float32", "float32"),
        ("mps", "float32", "float32"),
        ("cuda:0", "float32", "float16"),
        ("cuda:0", "float16", "float16"),
        ("cuda:1", "bfloat16", "bfloat16"),
    ],
)
def test_half_precision_on_cuda(device: str, stored: str, expected: str) -> None:
    assert computed_dtype(device, stored) == expected


def test_a_caller_may_name_the_device_that_there_is() -> None:
    assert is_named("cuda", "cuda:1")
    assert is_named("cuda:1", "cuda:1")
    assert not is_named("cuda:0", "cuda:1")
    assert not is_named(["cuda"], "cuda:1")
    assert resolve({"device": "cuda"}, MODEL, "cuda:0") == resolve({}, MODEL)
    with pytest.raises(NotSupported, match="no device 'cpu': it computes on the cuda:0"):
        resolve({"device": "cpu"}, MODEL, "cuda:0")


def test_on_cuda_a_type_may_be_asked_for_and_torch_computes_it() -> None:
    def variant(**kwargs: str) -> Variant:
        return resolve(kwargs, MODEL, "cuda:0").variant

    assert variant(dtype="float16") == AUTOMATIC
    assert variant(dtype="float32") == Variant(None, "float32")
    assert variant(dtype="bfloat16") == Variant("torch", "bfloat16")
    with pytest.raises(NotSupported, match="m is computed by torch, not by onnx"):
        variant(backend="onnx")
