"""One model, measured: `python -m rowvec.models.measure`, a JSON object in and one out.

A process of its own, so that its threads are set up as an engine's are. The backends take turns,
round by round, so that a busy moment of the machine falls on all of them.
"""

from __future__ import annotations

import ast
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rowvec.errors import NotSupported, RowvecError
from rowvec.models.backends.variant import Runtime, Variant, installed, resolve_variant
from rowvec.models.compiled.compiling import compile_model
from rowvec.models.compiled.proof import cosines
from rowvec.models.embedder import Matrix, Model, Tokenized
from rowvec.models.listing import read_listing
from rowvec.models.loading import compiled, load
from rowvec.models.spec import ModelSpec

# The shapes of work: a query that someone waits for, and a batch of documents.
_SHORT = tuple(f"how do I sort a list of {n} things" for n in range(20))
_ROUNDS = 3
_BULK_TEXTS = 200
_BATCH_TOKENS = 2048

# A processor has no float16 of its own that a model would gain by.
_FEWER_BITS = ("bfloat16", "int8")

SAMPLES = (
    "The cat sleeps on the warm window sill.",
    "A kitten naps in the sunlight.",
    "Interest rates rose by half a percent.",
    "The central bank tightened monetary policy.",
    "Bring the water to a boil and add the pasta.",
    "Recipe: how long to cook spaghetti.",
)


def measure(spec: ModelSpec, folder: Path, threads: int, *, dtypes: bool = False) -> dict[str, Any]:
    """Dimensions, neighbours, and of each backend that can compute it: speed, memory, cosine.

    With `dtypes` also of each backend in every type that requests may ask of it.
    """
    ways = ways_to_compute(spec, dtypes=dtypes)
    models: dict[str, Model[Any]] = {}
    failed: dict[str, str] = {}
    for name, variant in ways.items():
        runtime = Runtime(variant, compiled=folder, threads=threads)
        try:
            models[name] = _loaded(_with(spec, runtime))
        except RowvecError as exc:
            failed[name] = str(exc)
    if not ways:
        models["model"] = _loaded(_with(spec, Runtime(compiled=folder, threads=threads)))
    texts = documents(_BULK_TEXTS)
    short: dict[str, list[float]] = {name: [] for name in models}
    bulk: dict[str, list[float]] = {name: [] for name in models}
    vectors: dict[str, list[Any]] = {}
    for _ in range(_ROUNDS):
        for name, model in models.items():
            _timed(model, _SHORT[:1])
            short[name] += [_timed(model, [text])[0] for text in _SHORT]
            seconds, vectors[name] = _timed(model, texts)
            bulk[name].append(seconds)
    first = next(iter(models))
    return {
        "dimensions": models[first].dimensions,
        "max_tokens": models[first].max_tokens,
        "texts": len(texts),
        "neighbours": neighbours(_embed(models[first], SAMPLES)),
        "failed": failed,
        "figures": {
            name: {
                "short_ms": round(1000 * statistics.median(short[name]), 2),
                "texts_per_second": round(len(texts) / statistics.median(bulk[name]), 1),
                "memory_bytes": spec.memory_bytes()
                if model.memory_bytes is None
                else model.memory_bytes,
                "cosine": model.cosine,
                "bulk_cosine": _mean_cosine(vectors[name], vectors[first]) if ways else None,
            }
            for name, model in models.items()
        },
    }


def ways_to_compute(spec: ModelSpec, *, dtypes: bool) -> dict[str, Variant]:
    """Each installed backend by its name, then with `dtypes` each in the types of fewer bits."""
    model = spec.description
    offered = tuple(b for b in model.backends if b in installed())
    ways: dict[str, Variant] = {backend: Variant(backend) for backend in offered}
    asked = [(b, t) for b in offered for t in _FEWER_BITS if t != model.dtype]
    for backend, dtype in asked if dtypes else ():
        try:
            ways[f"{backend} {dtype}"] = resolve_variant(
                backend, dtype, own=model.dtype, offered=offered, model=model.name
            )
        except NotSupported:
            continue  # not every backend computes in every type
    return ways


def neighbours(vectors: Sequence[Any]) -> list[tuple[str, str, float]]:
    """Of each sample the nearest other one and their cosine; none where there are no vectors."""
    if not all(isinstance(vector, np.ndarray) and vector.size > 1 for vector in vectors):
        return []
    matrix = np.stack(vectors).astype(np.float64)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    cosines = matrix @ matrix.T
    np.fill_diagonal(cosines, -2)
    return [
        (SAMPLES[i], SAMPLES[int(j)], round(float(cosines[i, j]), 3))
        for i, j in enumerate(cosines.argmax(axis=1))
    ]


def documents(count: int) -> list[str]:
    """Texts of many lengths that every machine has: what Python's own library says of itself."""
    found: dict[str, None] = {}
    for file in sorted(Path(ast.__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (
                said := ast.get_docstring(node)
            ):
                found[said] = None
    found.pop("", None)
    # Every n-th, so that all modules are there.
    return list(found)[:: max(1, len(found) // count)][:count]


def _loaded(spec: ModelSpec) -> Model[Any]:
    return load(spec, compiled(spec, compile_model))


def _with(spec: ModelSpec, runtime: Runtime) -> ModelSpec:
    return ModelSpec(**{**vars(spec), "runtime": runtime})


def _mean_cosine(ours: Sequence[Matrix], theirs: Sequence[Matrix]) -> float:
    return round(float(cosines(np.stack(ours), np.stack(theirs)).mean()), 6)


def _timed(model: Model[Any], texts: Sequence[str]) -> tuple[float, list[Any]]:
    started = time.perf_counter()
    vectors = _embed(model, texts)
    return time.perf_counter() - started, vectors


def _embed(model: Model[Any], texts: Sequence[str]) -> list[Any]:
    """As the engine does: by length, in batches within a budget of tokens, several at once."""
    tokenized = model.tokenize(list(texts), "")
    at_once = model.streams if len(texts) > 1 else 1
    forward = model.forward if at_once == 1 else model.forward_in_stream
    batches = list(_batches(tokenized, _BATCH_TOKENS // at_once))
    rows: dict[int, Matrix] = {}
    with ThreadPoolExecutor(at_once) as threads:
        work = ([tokenized[i] for i in places] for places in batches)
        # A model that computes here stays in this thread, where torch has its helpers.
        computed = map(forward, work) if at_once == 1 else threads.map(forward, work)
        for places, found in zip(batches, computed, strict=True):
            rows.update(zip(places, found, strict=True))
    return [rows[i] for i in range(len(texts))]


def _batches(tokenized: Sequence[Tokenized], tokens: int) -> Iterator[list[int]]:
    order = sorted(range(len(tokenized)), key=lambda i: -tokenized[i].length)
    while order:
        count = max(1, tokens // max(1, tokenized[order[0]].length))
        yield order[:count]
        order = order[count:]


def main() -> None:
    """Reads what to measure from stdin, writes the figures or the error to stdout."""
    asked = json.load(sys.stdin)
    path = asked["models"]
    answer: dict[str, object]
    try:
        spec = read_listing(None if path is None else Path(path)).find(asked["name"])
        measured = measure(spec, Path(asked["compiled"]), asked["threads"], dtypes=asked["dtypes"])
        answer = {"measured": measured}
    except RowvecError as exc:
        answer = {"sqlstate": exc.sqlstate, "message": str(exc), "hint": exc.hint}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
