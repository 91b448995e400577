"""Which backend and which type of numbers a request or an administrator may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args

from rowvec.errors import InvalidRequest, NotSupported

Backend = Literal["torch", "onnx", "openvino"]
DType = Literal["float32", "float16", "bfloat16", "int8"]

T = TypeVar("T")

BACKENDS: tuple[Backend, ...] = get_args(Backend)
DTYPES: tuple[DType, ...] = get_args(DType)

_MODULES: dict[Backend, tuple[str, ...]] = {
    "torch": ("torch",),
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
}

# Quantised graphs are onnxruntime's own, which alone computes them fast; it has no bfloat16 there.
_DTYPES: dict[Backend, tuple[DType, ...]] = {
    "torch": ("float32", "float16", "bfloat16"),
    "onnx": ("float32", "int8"),
    "openvino": ("float32", "bfloat16"),
}


@dataclass(frozen=True)
class Variant:
    """A way to compute a model. None leaves the choice to the worker, at the model's own type.

    `route` is one that only queries or documents take, of a model that has such.
    """

    backend: Backend | None = None
    dtype: DType | None = None
    route: str | None = None


AUTOMATIC = Variant()


@dataclass(frozen=True)
class Runtime:
    """How a process wants a model computed: `variant` if asked for, else `measured`, else the best.

    `compiled` is the folder that compiled models are kept in; without it torch computes everything,
    as it does on a `device` other than the CPU. `threads` are those of the CPU.
    """

    variant: Variant = AUTOMATIC
    measured: Backend | None = None
    compiled: Path | None = None
    threads: int = 1
    device: str = "cpu"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The runtime whose fields were read from JSON."""
        compiled = fields["compiled"]
        return cls(
            **{
                **fields,
                "variant": Variant(**fields["variant"]),
                "compiled": None if compiled is None else Path(compiled),
            }
        )


def installed() -> tuple[Backend, ...]:
    """The backends that can be imported here."""
    return tuple(b for b in BACKENDS if all(find_spec(module) for module in _MODULES[b]))


def resolve_variant(
    backend: object, dtype: object, *, own: str, offered: tuple[Backend, ...], model: str
) -> Variant:
    """What a request asks of a model that is else computed in `own`; None counts as not given.

    A type other than float32 names the backend too: it changes the vectors, and each computes it
    in its own way. Raises InvalidRequest, or NotSupported for what is not here.
    """
    if backend is None and dtype is None:
        return AUTOMATIC
    if not offered:
        raise NotSupported(f"{model} is of a kind that has no choice of backend and dtype")
    chosen = _one_of("backend", backend, BACKENDS)
    kind = _one_of("dtype", dtype, DTYPES)
    if chosen is not None and chosen not in offered:
        raise NotSupported(f"{model} is computed by {' or '.join(offered)}, not by {chosen}")
    here = installed()
    if chosen is not None and chosen not in here:
        raise NotSupported(
            f"the backend {chosen} is not installed beside the worker",
            hint=f"pip install 'rowvec[{'worker' if chosen == 'torch' else 'fast'}]' there",
        )
    if kind in (None, own):
        return Variant(chosen)
    able = [b for b in offered if kind in _DTYPES[b]]
    if chosen is not None and chosen not in able:
        raise NotSupported(
            f"{chosen} does not compute in {kind}", hint=f"backends that do: {', '.join(able)}"
        )
    if kind == "float32":
        return Variant(chosen, kind)
    # OpenVINO before torch, where both can: it is the faster of the two.
    possible = [b for b in ("openvino", "onnx", "torch") if b in able and b in here]
    if chosen is None and not possible:
        raise NotSupported(
            f"no backend beside the worker computes {model} in {kind}",
            hint="pip install 'rowvec[fast]' there",
        )
    return Variant(chosen or possible[0], kind)


def _one_of(key: str, value: object, known: tuple[T, ...]) -> T | None:
    if value is None:
        return None
    for one in known:
        if value == one:
            return one
    raise InvalidRequest(f"{key} must be one of {', '.join(map(str, known))}")
