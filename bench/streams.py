"""A batch on each processor beside one batch on all of them, and what the second session holds.

The model is loaded as the engine loads it. Batches of 4 to 64 short texts are computed by as many
threads as there are processors, each its own (`forward_in_stream`), and one after the other by all
(`forward`): on an idle machine, and beside two processes that each want a quarter of a processor,
as Postgres does. Prints the time of the first by that of the second; medians of five rounds that
alternate. Before that the memory of one session, and of two that map the same packed weights.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
from stage import MODEL, report, rounded, seconds, short_texts

from rowvec.config import engine_environment
from rowvec.models.backends.variant import Runtime, Variant
from rowvec.models.compiled.artifact import GRAPH
from rowvec.models.compiled.graphs import OnnxGraph
from rowvec.models.embedder import Embedder
from rowvec.models.listing import read_listing
from rowvec.models.loading import compiled, load
from rowvec.models.threads import granted_threads

ROUNDS, TEXTS = 5, 256
BATCHES = (4, 8, 16, 32, 64)
NEIGHBOURS = 2

# Busy for 0.7 of every 2.8 milliseconds or so.
NEIGHBOUR = """
import time
while True:
    until = time.perf_counter() + 0.0007
    while time.perf_counter() < until:
        pass
    time.sleep(0.002)
"""


def main() -> None:
    """Prints a line for each size of batch, with and without neighbours, and one of memory."""
    threads = granted_threads()
    with tempfile.TemporaryDirectory() as kept:
        model, artifact = compiled_model(Path(kept), threads)
        compare_memory(artifact, threads)
        for neighbours in (0, NEIGHBOURS):
            with busy(neighbours):
                for size in BATCHES:
                    compare(model, size, neighbours)


def compare(model: Embedder, size: int, neighbours: int) -> None:
    """The two ways by turns."""
    texts = model.tokenize(short_texts(TEXTS), "")
    batches = [texts[i : i + size] for i in range(0, TEXTS, size)]
    with ThreadPoolExecutor(model.streams) as pool:

        def apart() -> None:
            list(pool.map(model.forward_in_stream, batches))

        def together() -> None:
            for batch in batches:
                model.forward(batch)

        apart()
        ratios = [seconds(apart) / seconds(together) for _ in range(ROUNDS)]
    report("streams", texts=size, neighbours=neighbours, ratio=rounded(ratios))


def compare_memory(artifact: Path, threads: int) -> None:
    """One session that has weights of its own, and two that map the packed ones."""
    (packed,) = artifact.glob("packed-*/model.onnx")
    used = [private_megabytes()]
    kept = []
    for second in (None, packed):
        kept.append(OnnxGraph(artifact / GRAPH, threads, second))
        used.append(private_megabytes())
    report(
        "streams, private memory",
        one_session_megabytes=round(used[1] - used[0], 1),
        two_sessions_megabytes=round(used[2] - used[1], 1),
        packed_file_megabytes=round(
            sum(f.stat().st_size for f in packed.parent.iterdir()) / 1e6, 1
        ),
    )


@contextmanager
def busy(neighbours: int) -> Iterator[None]:
    """Other processes that want a part of a processor each."""
    running = [subprocess.Popen([sys.executable, "-c", NEIGHBOUR]) for _ in range(neighbours)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def compiled_model(kept: Path, threads: int) -> tuple[Embedder, Path]:
    """The model as onnxruntime computes it, and its artifact."""
    runtime = Runtime(Variant("onnx"), compiled=kept, threads=threads)
    spec = replace(read_listing(None).find(MODEL), runtime=runtime)
    artifact = compiled(spec)
    assert artifact is not None
    model = load(spec, artifact)
    assert isinstance(model, Embedder)
    assert model.streams == threads, "onnxruntime or a second processor is missing"
    return model, artifact


def private_megabytes() -> float:
    """Memory that this process shares with no other (unique set size)."""
    return round(psutil.Process().memory_full_info().uss / 1e6, 1)


if __name__ == "__main__":
    if sys.argv[1:] != ["measure"]:
        # The libraries read how many threads there are when they are loaded.
        command = [sys.executable, __file__, "measure"]
        sys.exit(subprocess.run(command, env=engine_environment(None), check=False).returncode)
    main()
