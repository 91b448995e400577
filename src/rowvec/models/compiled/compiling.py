"""Compiles a model: `python -m rowvec.models.compiled.compiling`, JSON in and JSON out.

A process of its own, since what it imports is large and of no use afterwards: torch and two
libraries above it take seconds and some 800 MB to make one graph. It ends with whoever started it.

Proven: on sample texts of many lengths and scripts the graph gives the rows that the library
computes. So a model exported wrongly is never served.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rowvec import logs
from rowvec.errors import ModelError, NotSupported, RowvecError
from rowvec.extras import demand
from rowvec.models.backends.variant import Backend, installed
from rowvec.models.compiled.artifact import (
    GRAPH,
    GRAPH_FOLDER,
    PROOF,
    TOKENIZER,
    Artifacts,
    Manifest,
    Served,
    made_with,
    pinned,
)
from rowvec.models.compiled.export import Exportable, export, fuse, quantise
from rowvec.models.compiled.graphs import Graph, OnnxGraph, OpenVinoGraph
from rowvec.models.compiled.proof import QUERY, SAME, SAMPLES, sample_rows
from rowvec.models.compiled.serving import Rows
from rowvec.models.embedder import Matrix, Model, Tokenized
from rowvec.models.registry import family
from rowvec.models.spec import ModelSpec

logger = logging.getLogger(__name__)

# Without a measurement. OpenVINO is about as fast, and keeps a megabyte or so for every shape of
# batch that it ever saw, which a worker that runs for months would feel.
_PREFERENCE: tuple[Backend, ...] = ("onnx", "openvino")


def compile_model(spec: ModelSpec) -> Path:
    """Writes the artifact of a model as its runtime wants it; gives its folder.

    Where nothing was asked for and no graph computes the model, the artifact says that torch does,
    and why. Raises ModelError where the model cannot be loaded or the disk does not take it,
    NotSupported where it cannot be computed as asked.
    """
    assert spec.runtime is not None
    assert spec.runtime.compiled is not None
    with Artifacts(spec.runtime.compiled).making(spec) as (begun, target):
        _Compiler(spec, begun).choose().write(begun)
    return target


class _Compiler:
    """One model on its way into a folder."""

    def __init__(self, spec: ModelSpec, folder: Path) -> None:
        assert spec.runtime is not None
        self._asked = spec.runtime.variant
        self._measured = spec.runtime.measured
        self._threads = spec.runtime.threads
        self._folder = folder
        self._weights = pinned(spec)
        self._own = spec.description.dtype
        plain = replace(spec.runtime, variant=replace(self._asked, backend=None, dtype=None))
        self._model: Model[Any] = family(spec.kind).load(replace(spec, runtime=plain))

    def choose(self) -> Manifest:
        """The graph that was asked for or is the best that is proven, or else torch."""
        if self._asked.backend is not None:
            demand(f"compiling for {self._asked.backend}", "onnx")
            return self._proven(self._model.exportable(), self._asked.backend, "asked for")
        said: list[str] = []
        try:
            exportable = self._model.exportable()
        except NotSupported as exc:
            return self._left_to_torch(str(exc))
        for backend, why in self._order(said):
            try:
                return self._proven(exportable, backend, "; ".join([why, *said]))
            except RowvecError as exc:
                said.append(str(exc))
                logger.warning("not used: %s", exc)
        return self._left_to_torch("; ".join(said))

    def _left_to_torch(self, reason: str) -> Manifest:
        for path in self._folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return Manifest("torch", reason, self._weights, made_with())

    def _order(self, said: list[str]) -> list[tuple[Backend, str]]:
        if self._own != "float32":
            said.append(
                f"its weights are {self._own}, which only torch computes as the library does"
            )
            return []
        here = [b for b in _PREFERENCE if b in installed()]
        if not here:
            said.append("neither openvino nor onnxruntime is installed")
        if find_spec("onnx") is None:
            said.append("onnx, which writes graphs, is not installed")
            return []
        order: list[tuple[Backend, str]] = [(b, "proven equal, not measured here") for b in here]
        measured = self._measured
        return [(measured, "measured"), *order] if measured in here else order

    def _proven(self, model: Exportable, backend: Backend, reason: str) -> Manifest:
        """Writes the artifact; raises RowvecError where no form of the graph is proven."""
        dtype = self._asked.dtype if self._asked.dtype not in (None, self._own) else None
        theirs = self._reference(model)
        if dtype == "float32":
            model.transformer.model.to(torch.float32)
        (self._folder / TOKENIZER).write_text(model.tokenizer.to_text(), encoding="utf-8")
        np.savez(self._folder / PROOF, rows=theirs)
        served = Served(
            model.gives, theirs.shape[1], model.tokenizer.form, model.excludes_prompt, 1.0, dtype
        )
        rows = Rows(self._folder, served)
        found = 0.0
        for form in self._forms(model, backend):
            form.replace(self._folder / GRAPH_FOLDER)
            try:
                found = rows.likeness(self._graph(backend, dtype))
            except ModelError as exc:
                logger.info("not computed so: %s", exc)
                found = 0.0
            if found >= SAME or (found and dtype is not None):
                shutil.rmtree(self._folder / "exported", ignore_errors=True)
                why = reason if dtype is None else f"asked for in {dtype}"
                served = replace(served, cosine=found)
                return Manifest(backend, why, self._weights, made_with(), served)
            shutil.rmtree(self._folder / GRAPH_FOLDER)
        raise NotSupported(f"the vectors of {backend} differ from torch's (cosine {found:.4f})")

    def _graph(self, backend: Backend, dtype: str | None) -> Graph:
        if backend == "openvino":
            return OpenVinoGraph(self._folder / GRAPH, self._threads, dtype)
        return OnnxGraph(self._folder / GRAPH, self._threads)

    def _forms(self, model: Exportable, backend: Backend) -> Iterator[Path]:
        """Folders with the graph in one form after the other, the fastest first."""
        exported, other = self._folder / "exported", self._folder / "other"
        exported.mkdir(exist_ok=True)
        name = Path(GRAPH).name
        export(model, exported / name)
        other.mkdir()
        if backend == "onnx" and self._asked.dtype == "int8":
            quantise(exported / name, other / name)
            yield other
            return
        if backend == "onnx":
            try:
                fuse(exported / name, other / name, model.transformer.model.config)
                yield other
            except ModelError as exc:
                logger.info("computed as it was exported: %s", exc)
        shutil.rmtree(other, ignore_errors=True)
        yield exported

    def _reference(self, model: Exportable) -> Matrix:
        """The rows of the samples as the library computes them."""
        query = QUERY if model.gives == "score" else ""

        def computed(batch: Sequence[Tokenized]) -> Matrix:
            rows = self._model.forward(batch)
            return rows if isinstance(rows, np.ndarray) else np.stack([r.to_dense() for r in rows])

        return sample_rows(self._model.tokenize(SAMPLES, query), computed)


def main() -> None:
    """Reads a model's spec, a line, and writes the artifact's folder or the error."""
    spec = ModelSpec.from_json(json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logs.configure("text", level=logging.ERROR)
    assert spec.runtime is not None
    torch.set_num_threads(spec.runtime.threads)
    answer: dict[str, Any]
    try:
        # Libraries print.
        with contextlib.redirect_stdout(io.StringIO()):
            answer = {"artifact": str(compile_model(spec))}
    except RowvecError as exc:
        answer = {"kind": type(exc).__name__, "message": exc.message, "hint": exc.hint}
    sys.stdout.write(json.dumps(answer))


def _end_with_parent() -> None:
    # Whoever started this keeps the pipe open for as long as it wants an artifact.
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
