"""Compiled models as the engine knows models: tokens by tokenizers, rows by a graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rowvec.errors import ModelError
from rowvec.models.compiled.artifact import GRAPH, PROOF, TOKENIZER, Manifest, Served, made_with
from rowvec.models.compiled.graphs import Graph, OnnxGraph, OpenVinoGraph, packed_form
from rowvec.models.compiled.proof import QUERY, SAME, SAMPLES, likeness, sample_rows
from rowvec.models.description import NO_LIMIT
from rowvec.models.embedder import Embedder, Matrix, Model, Tokenized
from rowvec.models.sparse_vector import SparseEmbedder, SparseVector
from rowvec.models.spec import tokenizer_bytes
from rowvec.models.tokenizing import BatchTokenizer

# A sparse encoder has a number for every word of its vocabulary at every token: 30,522 words and a
# batch of 2,048 tokens would be 250 MB. This is 64 MB.
_MAX_LOGITS = 16 << 20


class Rows:
    """An artifact in memory: the tokens of texts, and their rows as the graph gives them."""

    def __init__(self, artifact: Path, served: Served) -> None:
        try:
            text = (artifact / TOKENIZER).read_text(encoding="utf-8")
        except OSError as exc:
            raise ModelError(f"{artifact / TOKENIZER} cannot be read: {exc}") from exc
        self.served = served
        self.memory_bytes = tokenizer_bytes(len(text.encode()))
        self.tokenizer = BatchTokenizer.from_text(text, served.tokenizer)
        self._artifact = artifact

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, or where pairs are scored, beside it."""
        if self.served.gives == "score":
            return self.tokenizer.pairs(prompt, texts)
        tokenized = self.tokenizer.texts(texts, prompt)
        if prompt and self.served.excludes_prompt:
            length = self.tokenizer.prompt_length(prompt)
            for text in tokenized:
                text.features["prompt_length"] = length
        return tokenized

    def feeds(self, batch: Sequence[Tokenized]) -> dict[str, npt.NDArray[np.int64]]:
        """What the graph is given of a batch."""
        feeds = self.tokenizer.arrays(batch)
        if self.served.excludes_prompt:
            feeds["pooled_mask"] = _without(
                feeds["attention_mask"], batch[0].features.get("prompt_length", 0)
            )
        return feeds

    def likeness(self, graph: Graph) -> float:
        """Of what the graph makes of the samples to what the library made of them."""
        try:
            with np.load(self._artifact / PROOF) as kept:
                theirs = kept["rows"]
        except (OSError, ValueError, KeyError) as exc:
            raise ModelError(f"{self._artifact / PROOF} cannot be read") from exc
        samples = self.tokenize(SAMPLES, QUERY if self.served.gives == "score" else "")
        together = graph.rows if graph.streams == 1 else graph.rows_in_stream
        try:
            ours = sample_rows(
                samples,
                lambda batch: graph.rows(self.feeds(batch)),
                lambda batch: together(self.feeds(batch)),
            )
        except Exception as exc:  # whatever a library raises for a graph
            raise ModelError(f"the graph fails on sample texts ({type(exc).__name__})") from exc
        return likeness(ours, theirs)


class _Compiled(Model[Any]):
    """What compiled models of all kinds have in common."""

    any_thread = True

    def __init__(self, manifest: Manifest, rows: Rows, graph: Graph) -> None:
        self.backend, self.reason = manifest.backend, manifest.reason
        self.cosine = rows.served.cosine
        self.dimensions = rows.served.width
        self.max_tokens = min(NO_LIMIT, rows.tokenizer.max_tokens)
        self.streams = graph.streams
        self.memory_bytes = graph.memory_bytes + rows.memory_bytes
        self._rows, self._graph = rows, graph

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, cut to `max_tokens`; for scores with the query."""
        return self._rows.tokenize(texts, prompt)

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token lies in the text, in characters, special tokens left out."""
        return self._rows.tokenizer.offsets(text)


class CompiledEmbedder(_Compiled, Embedder):
    """Dense vectors, or scores."""

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The rows of one batch."""
        return self._graph.rows(self._rows.feeds(batch))

    def forward_in_stream(self, batch: Sequence[Tokenized]) -> Matrix:
        """As `forward`, from any of `streams` threads at once."""
        return self._graph.rows_in_stream(self._rows.feeds(batch))


class CompiledSparseEmbedder(_Compiled, SparseEmbedder):
    """Sparse vectors, which the graph gives with their zeros."""

    def forward(self, batch: Sequence[Tokenized]) -> list[SparseVector]:
        """The vectors of one batch, a few texts at a time."""
        return self._vectors(batch, self._graph.rows)

    def forward_in_stream(self, batch: Sequence[Tokenized]) -> list[SparseVector]:
        """As `forward`, from any of `streams` threads at once."""
        return self._vectors(batch, self._graph.rows_in_stream)

    def _vectors(self, batch: Sequence[Tokenized], rows: Any) -> list[SparseVector]:
        longest = max(1, *(text.length for text in batch))
        at_once = max(1, _MAX_LOGITS // (self.dimensions * longest))
        return [
            SparseVector.from_dense(row)
            for start in range(0, len(batch), at_once)
            for row in rows(self._rows.feeds(batch[start : start + at_once]))
        ]


def serve(artifact: Path, manifest: Manifest, threads: int) -> Embedder | SparseEmbedder:
    """The model of an artifact; raises ModelError where it cannot be read or computes otherwise.

    What runs it may be another processor and another onnxruntime than what it was made by: then it
    is proven again.
    """
    served = manifest.served
    assert served is not None
    rows = Rows(artifact, served)
    graph: Graph
    if manifest.backend == "openvino":
        graph = OpenVinoGraph(artifact / GRAPH, threads, served.dtype)
    else:
        graph = _onnx_graph(artifact, rows, threads)
    if made_with().get("onnxruntime") != manifest.made_with.get("onnxruntime"):
        _demand(rows, graph)
    kind = CompiledSparseEmbedder if served.gives == "sparse vector" else CompiledEmbedder
    return kind(manifest, rows, graph)


def _onnx_graph(artifact: Path, rows: Rows, threads: int) -> OnnxGraph:
    packed = None
    if threads > 1 and rows.served.dtype is None:
        packed = packed_form(artifact, threads, lambda graph: rows.likeness(graph) >= SAME)
    return OnnxGraph(artifact / GRAPH, threads, packed)


def _demand(rows: Rows, graph: Graph) -> None:
    found = rows.likeness(graph)
    # Of fewer bits it may be as unlike as it was when it was compiled.
    if found < min(SAME, rows.served.cosine - (1 - SAME)):
        raise ModelError(f"the compiled graph computes something else here ({found:.4f})")


def _without(mask: npt.NDArray[np.int64], prompt: int) -> npt.NDArray[np.int64]:
    """The mask with the first tokens of each text left out."""
    first = mask.argmax(axis=1)[:, None]
    places = np.arange(mask.shape[1])[None]
    return np.where(places < first + prompt, 0, mask)
