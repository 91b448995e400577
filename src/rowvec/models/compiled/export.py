"""A loaded model as an ONNX graph: all that it computes, from tokens to the row of a text."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rowvec.errors import ModelError
from rowvec.models.compiled.artifact import Gives
from rowvec.models.tokenizing import BatchTokenizer

logger = logging.getLogger(__name__)

Features = dict[str, Any]

_OPSET = 18

# protobuf's limit is 2 GB: the weights of a larger file stand beside it.
_ONE_FILE_BYTES = 1_900_000_000

OUTPUT = "rows"

# The tokens that are pooled, where those of the prompt are not: an input beside the model's own.
POOLED = "pooled_mask"


@dataclass(frozen=True)
class Exportable:
    """What can be exported of a loaded model.

    `rows` maps the features of a padded batch, as tensors, to one row a text: (texts, width). It is
    traced, so it must not look at what the tensors hold. With `excludes_prompt` it also finds
    `POOLED` among the features. `modules` are those of sentence-transformers that it calls, the
    transformer first.
    """

    modules: Sequence[torch.nn.Module]
    tokenizer: BatchTokenizer
    rows: Callable[[Features], torch.Tensor]
    gives: Gives
    excludes_prompt: bool = False

    @property
    def transformer(self) -> Any:
        """The first module, of transformers' own class but for a wrapper."""
        return self.modules[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the graph is given."""
        return (*self.tokenizer.form.features, *((POOLED,) if self.excludes_prompt else ()))


def export(model: Exportable, path: Path) -> None:
    """Writes the graph; raises ModelError where the model cannot be exported."""
    inputs = model.inputs
    batch = model.tokenizer.texts(["a text", "another text that is longer"], "")
    arrays = model.tokenizer.arrays(batch)
    tensors = {
        name: torch.from_numpy(arrays.get(name, arrays["attention_mask"])) for name in inputs
    }
    logger.info("exporting a model to ONNX")
    try:
        with (
            warnings.catch_warnings(),
            torch.inference_mode(),
            _plain_attention(model.transformer.model),
        ):
            # Of tracing (shapes become constants: the proof on other texts tells), and of the
            # exporter's own age: its successor needs onnxscript and takes ten times as long.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Rows(model, inputs).eval(),
                tuple(tensors.values()),
                str(path),
                dynamo=False,
                input_names=list(inputs),
                output_names=[OUTPUT],
                dynamic_axes={
                    **{name: {0: "texts", 1: "tokens"} for name in inputs},
                    OUTPUT: {0: "texts"},
                },
                opset_version=_OPSET,
            )
    except Exception as exc:  # whatever the exporter meets in the code of a model
        raise ModelError(f"the model cannot be exported to ONNX ({type(exc).__name__})") from exc


def fuse(exported: Path, path: Path, config: Any) -> None:
    """The form of an exported graph for onnxruntime alone; raises ModelError.

    A layer is a handful of its own operators there, where the file has some seventy of ONNX.
    """
    from onnxruntime.transformers import optimizer  # noqa: PLC0415  # imports much of onnx

    try:
        with _quiet():
            fused = optimizer.optimize_model(
                str(exported),
                model_type="bert",
                num_heads=getattr(config, "num_attention_heads", 0),
                hidden_size=getattr(config, "hidden_size", 0),
                opt_level=0,
            )
            fused.save_model_to_file(
                str(path), use_external_data_format=_size(exported.parent) > _ONE_FILE_BYTES
            )
    except Exception as exc:  # whatever the optimizer meets in a graph that it does not know
        raise ModelError(f"the exported model cannot be fused ({type(exc).__name__})") from exc


def quantise(exported: Path, path: Path) -> None:
    """The int8 form of an exported graph."""
    # Imports sympy and more, which takes seconds.
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    with _quiet():
        quantize_dynamic(exported, path, weight_type=QuantType.QInt8, per_channel=True)


class _Rows(torch.nn.Module):
    """A model whose tensors are positional and whose output is one tensor, for the export."""

    def __init__(self, model: Exportable, names: tuple[str, ...]) -> None:
        super().__init__()
        # So that the exporter finds the weights.
        self._modules_called = torch.nn.ModuleList(model.modules)
        self._rows = model.rows
        self._names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self._rows(dict(zip(self._names, tensors, strict=True)))


@contextmanager
def _plain_attention(model: Any) -> Iterator[None]:
    """Attention written out in products and a softmax, which is the form that can be fused."""
    own = model.config._attn_implementation  # noqa: SLF001  # transformers has no other way
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(own)


@contextmanager
def _quiet() -> Iterator[None]:
    """The tools of onnxruntime tell the log of every node."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
