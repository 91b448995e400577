"""nDCG@10 on Cranfield of each real model behind a worker, beside the same model used directly.

ROWVEC_TEST_MODELS names the folder with minilm, e5, mpnet and cranfield. Queries and documents go
with the model's own prompts (`input_type`); where it has prompts, also without. Names of models may
be given as arguments.
"""

from __future__ import annotations

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
from sentence_transformers import SentenceTransformer
from stage import ROWVEC, report

from rowvec.client import WorkerClient
from rowvec.errors import WorkerUnreachable

NAMES = ("minilm", "e5", "mpnet")
DEPTH = 10
STARTING_SECONDS = 60

Vectors = npt.NDArray[np.float32]
Encode = Callable[[list[str], str | None], Vectors]


def main() -> None:
    """Prints one line a model and way of prompting."""
    folder = Path(os.environ["ROWVEC_TEST_MODELS"])
    cranfield = Cranfield(folder / "cranfield")
    names = tuple(sys.argv[1:]) or NAMES
    with worker({name: folder / name / "model" for name in names}) as conninfo:
        for name in names:
            library = SentenceTransformer(str(folder / name / "model"), device="cpu")
            ways = (True, False) if any(library.prompts.values()) else (False,)
            for prompts in ways:
                ours = cranfield.ndcg(through(conninfo, name), prompts=prompts)
                theirs = cranfield.ndcg(directly(library), prompts=prompts)
                report(
                    "quality", model=name, prompts=prompts, ndcg_worker=round(ours, 4),
                    ndcg_direct=round(theirs, 4), difference=round(ours - theirs, 5),
                )  # fmt: skip


def through(conninfo: str, model: str) -> Encode:
    """The vectors that a worker gives."""

    def encode(texts: list[str], input_type: str | None) -> Vectors:
        async def ask() -> Vectors:
            kwargs = {} if input_type is None else {"input_type": input_type}
            async with await WorkerClient.connect(conninfo) as client:
                return (await client.embed(model, texts, kwargs)).vectors

        return asyncio.run(ask())

    return encode


def directly(model: SentenceTransformer) -> Encode:
    """The vectors that the library gives, prompts by its own means."""

    def encode(texts: list[str], input_type: str | None) -> Vectors:
        if input_type is None:
            return np.asarray(model.encode(texts))
        way = model.encode_query if input_type == "query" else model.encode_document
        return np.asarray(way(texts))

    return encode


class Cranfield:
    """1,400 abstracts, 225 queries, and how relevant which is to which (0 to 4)."""

    def __init__(self, folder: Path) -> None:
        self.documents = _lines(folder / "docs.jsonl")
        self._queries = _lines(folder / "queries.jsonl")
        self._gains: dict[int, dict[int, float]] = defaultdict(dict)
        for line in (folder / "qrels.tsv").read_text().splitlines():
            query, document, gain = map(int, line.split("\t"))
            self._gains[query][document] = max(0, gain)

    def ndcg(self, encode: Encode, *, prompts: bool) -> float:
        """Mean over the queries that have a relevant document."""
        documents = _unit(encode([d["text"] for d in self.documents], _side(prompts, "document")))
        queries = _unit(encode([q["text"] for q in self._queries], _side(prompts, "query")))
        ids = np.array([d["id"] for d in self.documents])
        best = ids[np.argsort(-(queries @ documents.T), axis=1)[:, :DEPTH]]
        found = {q["text"]: row.tolist() for q, row in zip(self._queries, best, strict=True)}
        return self.score(found.__getitem__)

    def score(self, find: Callable[[str], list[int]]) -> float:
        """Mean nDCG of what is found for each question: ids of documents, the best first."""
        scores = []
        for query in self._queries:
            gains = self._gains[query["id"]]
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
            f'[[model]]\nname = "{name}"\nkind = "sentence-transformers"\npath = "{path}"\n'
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
