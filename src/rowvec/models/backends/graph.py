"""A transformer as an ONNX file: exported once, kept in a folder, read by two backends.

The name of a file holds all that it depends on: the weights, and the versions of what wrote it.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import onnx
import torch
import transformers

from rowvec.errors import ModelError

logger = logging.getLogger(__name__)

_OPSET = 18

# Raised when a model is exported in another way, so that no file of the old way is read.
_FORM = 2

# protobuf's limit is 2 GB: the weights of a larger file stand beside it.
_ONE_FILE_BYTES = 1_900_000_000

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "token_embeddings"


class Graphs:
    """The folder that exported files are kept in; it may be removed at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exported(self, transformer: Any) -> Path:
        """The file of a transformer at float32, written where there is none; raises ModelError."""
        name = f"{_fingerprint(transformer.model)}-form{_FORM}-opset{_OPSET}"
        return self._made(
            f"{name}-torch{torch.__version__}-transformers{transformers.__version__}",
            lambda path: _export(transformer, path),
        )

    def fused(self, exported: Path, transformer: Any) -> Path:
        """The form of an exported file for onnxruntime alone, written where there is none.

        A layer is a handful of its own operators there, where the file has some seventy of ONNX.
        Raises ModelError.
        """
        return self._made(
            f"{exported.parent.name}-fused-onnxruntime{metadata.version('onnxruntime')}",
            lambda path: _fuse(exported, path, transformer.model.config),
        )

    def quantised(self, exported: Path) -> Path:
        """The int8 form of an exported file, written where there is none; raises ModelError."""
        return self._made(
            f"{exported.parent.name}-int8-onnx{onnx.__version__}",
            lambda path: _quantise(exported, path),
        )

    def packed(self, graph: Path, threads: int) -> Path:
        """The form of a file that all sessions of onnxruntime read from the same memory.

        Weights stand in it as the kernels of this processor take them, so that they are mapped and
        not copied. Written where there is none; raises ModelError.
        """
        return self._made(
            f"{graph.parent.name}-packed-onnxruntime{metadata.version('onnxruntime')}-{_processor()}",
            lambda path: _pack(graph, path, threads),
        )

    def _made(self, name: str, make: Any) -> Path:
        folder = self._folder / name
        if (folder / "model.onnx").exists():
            return folder / "model.onnx"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Renamed when it is whole: another process may look for it, or write it too.
            begun = Path(tempfile.mkdtemp(prefix=".begun-", dir=self._folder))
            try:
                make(begun / "model.onnx")
                begun.chmod(0o755)
                if not folder.exists():
                    begun.rename(folder)
            finally:
                shutil.rmtree(begun, ignore_errors=True)
        except OSError as exc:
            raise ModelError(f"cannot keep an exported model in {self._folder}: {exc}") from exc
        return folder / "model.onnx"


class _Tokens(torch.nn.Module):
    """A transformer whose tensors are positional and whose output is one tensor, for the export."""

    def __init__(self, model: Any, names: tuple[str, ...]) -> None:
        super().__init__()
        self._model = model
        self._names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._model(
            **dict(zip(self._names, tensors, strict=True)), return_dict=True
        ).last_hidden_state
        return found


def _export(transformer: Any, path: Path) -> None:
    sample = transformer.tokenizer(
        ["a text", "another text that is longer"], padding=True, return_attention_mask=True
    )
    names = tuple(n for n in INPUTS if n in sample)
    tensors = tuple(torch.tensor(sample[name]) for name in names)
    logger.info("exporting a model to %s", path.parent.parent)
    try:
        with warnings.catch_warnings(), torch.inference_mode(), _plain_attention(transformer.model):
            # Of tracing (shapes become constants: the proof on other texts tells), and of the
            # exporter's own age: its successor needs onnxscript and takes ten times as long.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Tokens(transformer.model, names).eval(),
                tensors,
                str(path),
                dynamo=False,
                input_names=list(names),
                output_names=[OUTPUT],
                dynamic_axes={name: {0: "texts", 1: "tokens"} for name in (*names, OUTPUT)},
                opset_version=_OPSET,
            )
    except Exception as exc:  # whatever the exporter meets in the code of a model
        raise ModelError(f"the model cannot be exported to ONNX ({type(exc).__name__})") from exc


@contextmanager
def _plain_attention(model: Any) -> Iterator[None]:
    """Attention written out in products and a softmax, which is the form that can be fused."""
    own = model.config._attn_implementation  # noqa: SLF001  # transformers has no other way
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(own)


def _fuse(exported: Path, path: Path, config: Any) -> None:
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
                str(path),
                use_external_data_format=_size(exported.parent) > _ONE_FILE_BYTES,
            )
    except Exception as exc:  # whatever the optimizer meets in a graph that it does not know
        raise ModelError(f"the exported model cannot be fused ({type(exc).__name__})") from exc


def _quantise(exported: Path, path: Path) -> None:
    # Imports sympy and more, which takes seconds.
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    with _quiet():
        quantize_dynamic(exported, path, weight_type=QuantType.QInt8, per_channel=True)


def _pack(graph: Path, path: Path, threads: int) -> None:
    import onnxruntime  # noqa: PLC0415  # of the extra `fast`

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", f"{path.name}.data"),
        ("session.optimized_model_external_initializers_min_size_in_bytes", "1024"),
        ("session.save_external_prepacked_constant_initializers", "1"),
    ):
        options.add_session_config_entry(key, value)
    try:
        onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its errors have no class in common
        raise ModelError(f"onnxruntime does not pack {graph} ({type(exc).__name__})") from exc


@cache
def _processor() -> str:
    """A name of this kind of processor: another one may want weights in another order."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    # "flags" on x86, "Features" on ARM.
    abilities = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    kind = f"{platform.machine()} {platform.processor()} {abilities}"
    return hashlib.blake2b(kind.encode(), digest_size=4).hexdigest()


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


def _fingerprint(model: torch.nn.Module) -> str:
    """A hash of every weight as it is in memory, and of the configuration."""
    found = hashlib.blake2b(digest_size=16)
    config: Any = model.config
    found.update(config.to_json_string(use_diff=False).encode())
    for name, tensor in model.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()))
    return found.hexdigest()
