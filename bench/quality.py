"""nDCG@10 on Cranfield of each real model behind a worker, beside the same model used directly.

ROWVEC_TEST_MODELS names the folder with minilm, e5, mpnet, splade and cranfield. Queries and
documents go with the model's own prompts (`input_type`); where it has prompts, also without. Names
of models may be given as arguments; `--documents N` takes the first N only, to see that it works.
Exit status 1 where a model behind the worker is more than 0.002 off, or prompts gain under 0.01.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer, SparseEncoder
from stage import ROWVEC, report

from rowvec.client import WorkerClient
from rowvec.errors import WorkerUnreachable

NAMES = ("minilm", "e5", "mpnet", "splade")
SPARSE = ("splade",)
PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}
MOST_APART, LEAST_GAIN = 0.002, 0.01
DEPTH = 10
STARTING_SECONDS = 60

Vectors = npt.NDArray[np.float32]
Encode = Callable[[list[str], str | None], Vectors]
Library = Any  # a SentenceTransformer or a SparseEncoder, whose types are not read


def main() -> None:
    """Prints one line a model and way of prompting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--documents", type=int)
    given = parser.parse_args()
    folder = Path(os.environ["ROWVEC_TEST_MODELS"])
    cranfield = Cranfield(folder / "cranfield", given.documents)
    good = True
    with worker({name: folder / name / "model" for name in given.names}) as conninfo:
        for name in given.names:
            library = loaded(name, folder / name / "model")
            ways = (True, False) if any(library.prompts.values()) else (False,)
            found = {}
            for prompts in ways:
                found[prompts] = ours = cranfield.ndcg(
                    through(conninfo, name), prompts=prompts, cosine=name not in SPARSE
                )
                theirs = cranfield.ndcg(
                    directly(library), prompts=prompts, cosine=name not in SPARSE
                )
                good &= abs(ours - theirs) <= MOST_APART
                report(
                    "quality", model=name, prompts=prompts, ndcg_worker=round(ours, 4),
                    ndcg_direct=round(theirs, 4), difference=round(ours - theirs, 5),
                )  # fmt: skip
            good &= True not in found or found[True] - found[False] >= LEAST_GAIN
    sys.exit(not good)


def loaded(name: str, folder: Path) -> Library:
    """The model in this process."""
    if name in SPARSE:
        return SparseEncoder(str(folder), device="cpu")
    return SentenceTransformer(str(folder), device="cpu")


def through(conninfo: str, model: str) -> Encode:
    """The vectors that a worker gives."""

    def encode(texts: list[str], input_type: str | None) -> Vectors:
        async def ask() -> Vectors:
            kwargs = {} if input_type is None else {"input_type": input_type}
            async with await WorkerClient.connect(conninfo) as client:
                if model not in SPARSE:
                    return (await client.embed(model, texts, kwargs)).vectors
                found = await client.embed_sparse(model, texts, kwargs)
                rows = [vector.to_numpy() for vector in found if vector is not None]
                return np.array(rows, dtype=np.float32)

        return asyncio.run(ask())

    return encode


def directly(model: Library) -> Encode:
    """The vectors that the library gives, the model's own prompts before the texts.

    Not by `encode_document`: where a model has its prompt under `passage`, that finds an empty
    `document`, which the library puts beside it at every load.
    """

    def encode(texts: list[str], input_type: str | None) -> Vectors:
        given: dict[str, Any] = {}
        if isinstance(model, SparseEncoder):
            given = {"convert_to_sparse_tensor": False}
        if input_type is not None:
            names = PROMPTS[input_type]
            given["prompt"] = next(filter(None, map(model.prompts.get, names)), "")
        return np.asarray(model.encode(texts, **given))

    return encode


class Cranfield:
    """1,400 abstracts, 225 queries, and how relevant which is to which (0 to 4)."""

    def __init__(self, folder: Path, documents: int | None = None) -> None:
        self.documents = _lines(folder / "docs.jsonl")[:documents]
        self.queries = _lines(folder / "queries.jsonl")
        self.gains: dict[int, dict[int, float]] = defaultdict(dict)
        for line in (folder / "qrels.tsv").read_text().splitlines():
            query, document, gain = map(int, line.split("\t"))
            self.gains[query][document] = max(0, gain)

    def ndcg(self, encode: Encode, *, prompts: bool, cosine: bool) -> float:
        """Mean over the queries that have a relevant document."""
        documents = encode([d["text"] for d in self.documents], _side(prompts, "document"))
        queries = encode([q["text"] for q in self.queries], _side(prompts, "query"))
        if cosine:
            documents, queries = _unit(documents), _unit(queries)
        ids = np.array([d["id"] for d in self.documents])
        best = ids[np.argsort(-(queries @ documents.T), axis=1)[:, :DEPTH]]
        found = {q["text"]: row.tolist() for q, row in zip(self.queries, best, strict=True)}
        return self.score(found.__getitem__)

    def score(self, find: Callable[[str], list[int]]) -> float:
        """Mean nDCG of what is found for each question: ids of documents, the best first."""
        scores = []
        for query in self.queries:
            gains = self.gains[query["id"]]
            ideal = _discounted(sorted(gains.values(), reverse=True)[:DEPTH])
            if ideal:
                found = find(query["text"])[:DEPTH]
                scores.append(_discounted([gains.get(d, 0) for d in found]) / ideal)
        return float(np.mean(scores))


def _side(prompts: bool, side: str) -> str | None:  # noqa: FBT001  # the one thing that varies
    return side if prompts else None


def _discounted(gains: list[float]) -> float:
    return float(sum(gain / np.log2(rank + 2) for rank, gain in enumerate(gains)))


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@contextmanager
def worker(folders: dict[str, Path]) -> Iterator[str]:
    """A worker with these models on a unix socket; gives its connection string."""
    home = Path(tempfile.mkdtemp(prefix="rowvec-bench-"))
    (home / "models.toml").write_text(
        "".join(
            f'[[model]]\nname = "{name}"\npath = "{path}"\nkind = "{kind_of(name)}"\n'
            for name, path in folders.items()
        )
    )
    (home / "password").write_text("bench")
    process = subprocess.Popen(
        [ROWVEC, "worker", "--listen", home, "--models", home / "models.toml",
         "--password-file", home / "password"],
    )  # fmt: skip
    conninfo = f"host={home} port=5466 user=rowvec password=bench dbname=rowvec"
    try:
        asyncio.run(_until_it_answers(conninfo))
        yield conninfo
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


def kind_of(name: str) -> str:
    """As models.toml calls it."""
    return "sparse-encoder" if name in SPARSE else "sentence-transformers"


async def _until_it_answers(conninfo: str) -> None:
    limit = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            async with await WorkerClient.connect(conninfo) as client:
                await client.ping()
                return
        except WorkerUnreachable:
            if time.monotonic() > limit:
                raise
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
