"""From the start of a process to its first vector, and the memory it holds then.

`rowvec worker`, with MiniLM's artifact there, beside a process that does no more than open the same
graph with onnxruntime and the same tokenizer. Starts take turns; medians. Then texts of every
length (`--texts`, 10,000), and the memory after them. Memory is resident, of the engine alone and
of the listener.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table
from stage import MODEL, MODEL_FOLDER, MODEL_PACKAGE, ROWVEC, report, rounded

from rowvec.client import WorkerClient
from rowvec.errors import WorkerUnreachable
from rowvec.models.backends.variant import Runtime
from rowvec.models.compiled.artifact import Manifest
from rowvec.models.listing import read_listing
from rowvec.models.loading import compiled
from rowvec.models.threads import granted_threads

_POLL_SECONDS = 0.002
_TEXTS_A_REQUEST = 250

_LIST = f"""
[[model]]
name = "{MODEL}"
kind = "sentence-transformers"
package = "{MODEL_PACKAGE}"
folder = "{MODEL_FOLDER}"
warm = true
"""

# The least that gives the vector: what it imports is what computes.
_PLAIN = """
import json, sys
from pathlib import Path
import numpy as np
import onnxruntime
from tokenizers import Tokenizer
artifact, limit, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
tokenizer = Tokenizer.from_file(str(artifact / "tokenizer.json"))
tokenizer.enable_truncation(limit)
tokenizer.no_padding()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(str(artifact / "graph" / "model.onnx"), options)
names = [each.name for each in session.get_inputs()]
def embed(text):
    read = tokenizer.encode(text)
    known = {"input_ids": read.ids, "attention_mask": read.attention_mask,
             "token_type_ids": read.type_ids}
    return session.run(None, {name: np.array([known[name]]) for name in names})[0]
for line in sys.stdin:
    for text in json.loads(line):
        embed(text)
    print("done", flush=True)
"""


def main() -> None:
    """Prints a table and a JSON line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--starts", type=int, default=5)
    options.add_argument("--texts", type=int, default=10_000)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="rowvec-bench-") as folder:
        home = Path(folder)
        artifact, spec_tokens = _artifact(home)
        started: dict[str, list[dict[str, float]]] = {"worker": [], "plain": []}
        for number in range(asked.starts):
            last = number == asked.starts - 1
            texts = _texts(asked.texts) if last else []
            started["worker"].append(_worker(home, texts))
            started["plain"].append(_plain(artifact, spec_tokens, texts))
    figures = {
        f"{name}_{what}": rounded([each[what] for each in found if what in each])
        for name, found in started.items()
        for what in found[-1]
    }
    _show(figures, asked.texts)
    report("cold", **figures, goal_seconds=1.2, goal_engine_mb=220, goal_engine_after_mb=400)


def _artifact(home: Path) -> tuple[Path, int]:
    """Where MiniLM's is, compiled where it was not, and how many tokens it reads."""
    (home / "models.toml").write_text(_LIST)
    (home / "password").write_text("bench")
    runtime = Runtime(compiled=home / "cache" / "compiled", threads=granted_threads(None))
    found = compiled(replace(read_listing(home / "models.toml").find(MODEL), runtime=runtime))
    assert found is not None
    served = Manifest.read(found).served
    assert served is not None
    return found, served.tokenizer.max_tokens


def _worker(home: Path, texts: list[str]) -> dict[str, float]:
    password = (home / "password").read_text()
    where = make_conninfo(
        host=str(home), port=5466, user="rowvec", dbname="rowvec", password=password
    )
    start = time.perf_counter()
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [ROWVEC, "worker", "--listen", home, "--models", home / "models.toml",
             "--password-file", home / "password", "--cache-dir", home / "cache"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        return asyncio.run(_ask(where, psutil.Process(process.pid), start, texts))
    finally:
        process.terminate()
        process.wait()


async def _ask(
    where: str, listener: psutil.Process, start: float, texts: list[str]
) -> dict[str, float]:
    while True:
        try:
            client = await WorkerClient.connect(where)
            break
        except WorkerUnreachable:
            await asyncio.sleep(_POLL_SECONDS)
    found = {"listening": time.perf_counter() - start}
    async with client:
        await client.embed(MODEL, ["a vector for every row"])
        found["seconds"] = time.perf_counter() - start
        (engine,) = listener.children()
        found["processor"] = _processor(listener) + _processor(engine)
        found |= {"engine_mb": _resident(engine), "listener_mb": _resident(listener)}
        if texts:
            for first in range(0, len(texts), _TEXTS_A_REQUEST):
                await client.embed(MODEL, texts[first : first + _TEXTS_A_REQUEST])
            found["engine_after_mb"] = _resident(engine)
            found["listener_after_mb"] = _resident(listener)
    return found


def _plain(artifact: Path, tokens: int, texts: list[str]) -> dict[str, float]:
    start = time.perf_counter()
    words = [str(artifact), str(tokens), str(granted_threads(None))]
    with subprocess.Popen(
        [sys.executable, "-c", _PLAIN, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip

        def embed(some: list[str]) -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(some) + "\n")
            process.stdin.flush()
            process.stdout.readline()

        embed(["a vector for every row"])
        found = {"seconds": time.perf_counter() - start}
        found["processor"] = _processor(psutil.Process(process.pid))
        found["engine_mb"] = _resident(psutil.Process(process.pid))
        if texts:
            embed(texts)
            found["engine_after_mb"] = _resident(psutil.Process(process.pid))
    return found


def _processor(process: psutil.Process) -> float:
    """Seconds of it that a process has had: what a busy machine changes little."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 1e6)


def _texts(count: int) -> list[str]:
    """Of one word to more than the model reads, each another."""
    line = "a row has its vector and a query finds what is near to it in meaning"
    words = line.split()
    return [
        " ".join([str(n), *(words[(n + k) % len(words)] for k in range(n % 300))])
        for n in range(count)
    ]


def _show(figures: dict[str, float], texts: int) -> None:
    table = Table("", "rowvec worker", "onnxruntime alone", "goal")
    rows: list[tuple[str, str, Any]] = [
        ("start to listening, s", "listening", ""),
        ("start to the first vector, s", "seconds", 1.2),
        ("processor until then, s", "processor", ""),
        ("resident then, MB", "engine_mb", 220),
        (f"after {texts} texts, MB", "engine_after_mb", 400),
        ("listener, MB", "listener_mb", ""),
        (f"listener after {texts} texts, MB", "listener_after_mb", ""),
    ]
    for name, what, goal in rows:
        values = [figures.get(f"{which}_{what}", "") for which in ("worker", "plain")]
        table.add_row(name, *map(str, values), str(goal))
    Console().print(table)


if __name__ == "__main__":
    main()
