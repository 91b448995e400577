"""Real vectors, computed once and kept: the glosses of WordNet by all-MiniLM-L6-v2.

    nice -n 19 .venv/bin/python bench/vectors.py --cache FOLDER [--threads 1]

ROWVEC_TEST_MODELS names the folder that has wordnet/glosses.jsonl. It goes on
where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from stage import load_model

DIMENSIONS = 384
PIECE = 5_000

Vectors = npt.NDArray[np.float32]


def main() -> None:
    """Computes what the cache lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    wordnet_vectors(arguments.cache, threads=arguments.threads)


def glosses(rows: int | None = None) -> list[str]:
    """The texts, in the file's order."""
    path = Path(os.environ["ROWVEC_TEST_MODELS"]) / "wordnet" / "glosses.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()[:rows]
    return [str(json.loads(line)["gloss"]) for line in lines]


def wordnet_vectors(cache: Path, rows: int | None = None, *, threads: int | None = None) -> Vectors:
    """A unit vector for each gloss (the first `rows`); what was computed before is read."""
    texts = glosses(rows)
    whole = cache / "wordnet-minilm.npy"
    if whole.exists():
        vectors: Vectors = np.load(whole)
        return vectors[: len(texts)]
    pieces = cache / "wordnet-minilm"
    pieces.mkdir(parents=True, exist_ok=True)
    model: Any = None
    found = []
    for start in range(0, len(texts), PIECE):
        piece = pieces / f"{start}.npy"
        if not piece.exists():
            model = model or _load(threads)
            part = np.asarray(model.encode(texts[start : start + PIECE], batch_size=64))
            if len(part) < PIECE and rows is not None:
                found.append(part)
                continue
            _save(piece, part)
            print(f"{start + len(part):,} of {len(texts):,}", flush=True)
        found.append(np.load(piece))
    vectors = np.concatenate(found)[: len(texts)]
    if rows is None:
        _save(whole, vectors)
    return vectors


def _load(threads: int | None) -> Any:
    if threads is not None:
        import torch  # noqa: PLC0415  # slow to import, and not needed where all is cached

        torch.set_num_threads(threads)
    return load_model()


def _save(path: Path, vectors: Vectors) -> None:
    unfinished = path.with_suffix(".tmp.npy")
    np.save(unfinished, vectors)
    unfinished.replace(path)


if __name__ == "__main__":
    main()
