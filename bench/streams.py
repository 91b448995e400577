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
from importlib.resources import files
from pathlib import Path

import psutil
from stage import MODEL_FOLDER, MODEL_PACKAGE, report, rounded, seconds, short_texts

from rowvec.config import engine_environment
from rowvec.models.backends.graph_encoders import OnnxEncoder
from rowvec.models.backends.variant import Runtime, Variant
from rowvec.models.families.sentence_transformers.dense import load_dense
from rowvec.models.families.sentence_transformers.transformer import TransformerEmbedder
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
    with tempfile.TemporaryDirectory() as graphs:
        model = load(Path(graphs), threads)
        compare_memory(Path(graphs), threads)
        for neighbours in (0, NEIGHBOURS):
            with busy(neighbours):
                for size in BATCHES:
                    compare(model, size, neighbours)


def compare(model: TransformerEmbedder, size: int, neighbours: int) -> None:
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


def compare_memory(graphs: Path, threads: int) -> None:
    """One session that has weights of its own, and two that map the packed ones."""
    (packed,) = graphs.glob("*-packed-*/model.onnx")
    (fused,) = (f for f in graphs.glob("*-fused-*/model.onnx") if f.parent != packed.parent)
    used = [private_megabytes()]
    kept = []
    for second in (None, packed):
        encoder = OnnxEncoder(fused, None, threads, second)  # type: ignore[arg-type]  # nothing is tokenised
        kept.append(encoder)
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


def load(graphs: Path, threads: int) -> TransformerEmbedder:
    """The model with onnxruntime."""
    folder = Path(str(files(MODEL_PACKAGE))) / MODEL_FOLDER
    model = load_dense(folder, runtime=Runtime(Variant("onnx"), graphs=graphs, threads=threads))
    assert isinstance(model, TransformerEmbedder)
    assert model.streams == threads, "onnxruntime or a second processor is missing"
    return model


def private_megabytes() -> float:
    """Memory that this process shares with no other (unique set size)."""
    return round(psutil.Process().memory_full_info().uss / 1e6, 1)


if __name__ == "__main__":
    if sys.argv[1:] != ["measure"]:
        # The libraries read how many threads there are when they are loaded.
        command = [sys.executable, __file__, "measure"]
        sys.exit(subprocess.run(command, env=engine_environment(None), check=False).returncode)
    main()
